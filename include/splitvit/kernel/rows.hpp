// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, copy_n, fill_n, max, min
#include <cmath>      // isfinite

#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/core/shape.hpp>     // Index

// Rows that are picked, and means over groups of rows, forward and backward. Letters: B samples, N
// tokens a sample before and P after, G groups, W numbers in a row. Group g has the rows
// members[starts[g]], ..., members[starts[g + 1] - 1], ascending. The caller checks all.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

namespace detail {
/// How many rows of `width` numbers a thread copies at a time.
inline Index rows_to_copy(Index width) { return 16384 / std::clamp<Index>(width, 1, 16384); }

/// The numbers of a row that are computed at a time. Their sums fit into the first-level cache.
inline constexpr Index merge_piece = 1024;

/// Calls body(group, rows of the group, first, length) for each piece of each group's row, on
/// several threads.
template <class Body>
void for_each_piece(Index W, std::span<const Index> starts, std::span<const Index> members,
                    const Body& body) {
  const Index pieces = (W + merge_piece - 1) / merge_piece;
  const auto G = static_cast<Index>(starts.size()) - 1;
  parallel_for(G * pieces, 8, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const auto g = static_cast<std::size_t>(i / pieces);
      const auto at = static_cast<std::size_t>(starts[g]);
      const Index first = (i % pieces) * merge_piece;
      body(i / pieces, members.subspan(at, static_cast<std::size_t>(starts[g + 1]) - at), first,
           std::min(merge_piece, W - first));
    }
  });
}

/// The mean of numbers whose sum is too large for a double; it lies between them.
template <class T>
T mean_without_overflow(const T* column, Index W, std::span<const Index> rows) {
  T low = column[rows[0] * W], high = low, mean{};
  for (const Index row : rows) {
    const T value = column[row * W];
    low = std::min(low, value);
    high = std::max(high, value);
    mean += value / static_cast<T>(rows.size());
  }
  return std::clamp(mean, low, high);
}
}  // namespace detail

/// Picks tokens of every sample, index (B, P): y (B, P, W) [b, p] = x (B, N, W) [b, index[b, p]].
template <std::floating_point T>
void gather_tokens(std::span<const T> x, std::span<T> y, Index N, Index P, Index W,
                   std::span<const Index> index) {
  const auto body = [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i)
      std::copy_n(x.data() + (i / P * N + index.data()[i]) * W, W, y.data() + i * W);
  };
  parallel_for(static_cast<Index>(index.size()), detail::rows_to_copy(W), body);
}

/// The gradient of gather_tokens: dx (B, N, W) from dy (B, P, W); zero for tokens not picked. No
/// token is picked twice.
template <std::floating_point T>
void scatter_tokens(std::span<const T> dy, std::span<T> dx, Index N, Index P, Index W,
                    std::span<const Index> index) {
  const auto body = [&](Index begin, Index end) {
    std::fill_n(dx.data() + begin * N * W, (end - begin) * N * W, T{});
    for (Index i = begin * P; i < end * P; ++i)
      std::copy_n(dy.data() + i * W, W, dx.data() + (i / P * N + index.data()[i]) * W);
  };
  parallel_for(static_cast<Index>(index.size()) / P, detail::rows_to_copy(N * W), body);
}

/// y (G, W): the mean of the rows of x (rows, W) in each group, none of which is empty. Rows are
/// added in ascending order, in double; then one division and one rounding. One row is copied.
template <std::floating_point T>
void mean_of_groups(std::span<const T> x, std::span<T> y, Index W, std::span<const Index> starts,
                    std::span<const Index> members) {
  using Rows = std::span<const Index>;
  detail::for_each_piece(W, starts, members, [&](Index g, Rows rows, Index first, Index length) {
    const T* const in = x.data() + first;
    T* const out = y.data() + g * W + first;
    if (rows.size() == 1) {
      std::copy_n(in + rows[0] * W, length, out);
      return;
    }
    std::array<double, detail::merge_piece> sum;
    double* const s = sum.data();
    std::copy_n(in + rows[0] * W, length, s);
    for (const Index row : rows.subspan(1)) {
      const T* const from = in + row * W;
      for (Index j = 0; j < length; ++j) s[j] += static_cast<double>(from[j]);
    }
    const auto m = static_cast<double>(rows.size());
    for (Index j = 0; j < length; ++j) out[j] = static_cast<T>(s[j] / m);
    if constexpr (std::numeric_limits<T>::max_exponent >= std::numeric_limits<double>::max_exponent)
      for (Index j = 0; j < length; ++j)
        if (!std::isfinite(out[j])) out[j] = detail::mean_without_overflow(in + j, W, rows);
  });
}

/// The gradient of mean_of_groups: y_g is the sum of m rows over m, so each of these rows gets
/// dx = dy_g / m. Every row of dx (rows, W) is in one group of dy (G, W).
template <std::floating_point T>
void spread_to_groups(std::span<const T> dy, std::span<T> dx, Index W,
                      std::span<const Index> starts, std::span<const Index> members) {
  using Rows = std::span<const Index>;
  detail::for_each_piece(W, starts, members, [&](Index g, Rows rows, Index first, Index length) {
    const T* const in = dy.data() + g * W + first;
    T* const out = dx.data() + first;
    if (rows.size() == 1) {
      std::copy_n(in, length, out + rows[0] * W);
      return;
    }
    std::array<T, detail::merge_piece> share;
    const auto m = static_cast<T>(rows.size());
    for (Index j = 0; j < length; ++j) share[static_cast<std::size_t>(j)] = in[j] / m;
    for (const Index row : rows) std::copy_n(share.data(), length, out + row * W);
  });
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
