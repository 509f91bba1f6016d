// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, copy_n, min
#include <array>      // array
#include <cmath>      // isfinite
#include <concepts>   // floating_point
#include <limits>     // numeric_limits
#include <span>       // span

#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/core/shape.hpp>     // Index

// Means over groups of rows, forward and backward. Letters: G groups, W numbers in a row. Group g
// owns the rows members[starts[g]], ..., members[starts[g + 1] - 1], in ascending order; `starts`
// has G + 1 entries. The caller checks the sizes.

namespace splitvit::kernel {

namespace detail {

/// The numbers of a row that are computed at a time. Their sums fit into the first-level cache.
inline constexpr Index merge_piece = 1024;

/// Calls body(group, first, length) for each piece of each group's row, on several threads.
template <class Body>
void for_each_piece(Index G, Index W, const Body& body) {
  const Index pieces = (W + merge_piece - 1) / merge_piece;
  parallel_for(G * pieces, 8, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const Index first = (i % pieces) * merge_piece;
      body(i / pieces, first, std::min(merge_piece, W - first));
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

/// y_g = mean of the rows of x in group g. Rows are added in ascending order, in double
/// precision; then one division and one rounding. A group of one is copied.
///
/// Shapes  x (rows, W), y (G, W); no group is empty.
template <std::floating_point T>
void mean_of_groups(std::span<const T> x, std::span<T> y, Index W, std::span<const Index> starts,
                    std::span<const Index> members) {
  const auto G = static_cast<Index>(starts.size()) - 1;
  detail::for_each_piece(G, W, [&](Index g, Index first, Index length) {
    const auto at = static_cast<std::size_t>(starts[static_cast<std::size_t>(g)]);
    const auto end = static_cast<std::size_t>(starts[static_cast<std::size_t>(g) + 1]);
    const std::span<const Index> rows = members.subspan(at, end - at);
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
/// dx = dy_g / m.
///
/// Shapes  dy (G, W), dx (rows, W); every row of dx belongs to one group and is written.
template <std::floating_point T>
void spread_to_groups(std::span<const T> dy, std::span<T> dx, Index W,
                      std::span<const Index> starts, std::span<const Index> members) {
  const auto G = static_cast<Index>(starts.size()) - 1;
  detail::for_each_piece(G, W, [&](Index g, Index first, Index length) {
    const auto at = static_cast<std::size_t>(starts[static_cast<std::size_t>(g)]);
    const auto end = static_cast<std::size_t>(starts[static_cast<std::size_t>(g) + 1]);
    const std::span<const Index> rows = members.subspan(at, end - at);
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

}  // namespace splitvit::kernel
