// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min, ranges::copy
#include <cmath>      // abs, sqrt
#include <cstddef>    // size_t
#include <cstdint>    // uint32_t
#include <vector>     // vector

#include <splitvit/codec/detail/finite_values.hpp>  // limited
#include <splitvit/core/parallel.hpp>               // parallel_for
#include <splitvit/core/shape.hpp>                  // Index, Shape
#include <splitvit/tensor/tensor.hpp>               // Tensor, TensorView

// Columns of a batch: the values at one place of all samples. Letters: B samples of n values, D
// channels, J columns of interest.

namespace splitvit::codec::detail {

/// Mean of each column, and its deviation over that of its channel's range.
template <class T>
struct ColumnStatistics {
  explicit ColumnStatistics(TensorView<const T> x) {
    const Index B = x.dim(0), n = x.size() / B, D = x.shape().rank() > 1 ? x.shape().back() : 1;
    T largest = 0;
    for (const T value : x.span()) largest = std::max(largest, std::abs(value));
    const double unit = static_cast<double>(largest) > 0x1p400 ? 0x1p624 : 1.0;  // for squares

    means.resize(static_cast<std::size_t>(n));
    deviations.resize(means.size());
    std::vector<double> lows(means.size()), highs(means.size());
    parallel_for(n, block, [&](Index begin, Index end) {
      // Differences from the first sample: those of equal values are exactly 0.
      double first[block], sum[block] = {}, low[block] = {}, high[block] = {}, square[block] = {};
      const Index width = end - begin;
      const auto at = [&](Index b, Index j) {
        return static_cast<double>(x[b * n + begin + j]) / unit;
      };
      for (Index j = 0; j < width; ++j) first[j] = at(0, j);
      for (Index b = 1; b < B; ++b)
        for (Index j = 0; j < width; ++j) {
          const double gap = at(b, j) - first[j];
          sum[j] += gap;
          low[j] = std::min(low[j], gap);
          high[j] = std::max(high[j], gap);
        }
      for (Index j = 0; j < width; ++j) sum[j] /= static_cast<double>(B);
      for (Index b = 0; b < B; ++b)
        for (Index j = 0; j < width; ++j) {
          const double gap = at(b, j) - first[j] - sum[j];
          square[j] += gap * gap;
        }
      for (Index j = 0; j < width; ++j) {
        const auto column = static_cast<std::size_t>(begin + j);
        means[column] = detail::limited(static_cast<T>((first[j] + sum[j]) * unit));
        deviations[column] = std::sqrt(square[j] / static_cast<double>(B));
        lows[column] = first[j] + low[j];
        highs[column] = first[j] + high[j];
      }
    });
    for (Index d = 0; d < D; ++d) {
      double low = lows[static_cast<std::size_t>(d)], high = highs[static_cast<std::size_t>(d)];
      for (auto j = static_cast<std::size_t>(d); j < means.size();
           j += static_cast<std::size_t>(D)) {
        low = std::min(low, lows[j]);
        high = std::max(high, highs[j]);
      }
      for (auto j = static_cast<std::size_t>(d); j < means.size(); j += static_cast<std::size_t>(D))
        deviations[j] = high > low ? deviations[j] / (high - low) : 0.0;
    }
  }

  static constexpr Index block = 512;
  std::vector<T> means;
  std::vector<double> deviations;
};

inline constexpr Index together = 16;  // columns that share a line of memory

/// Columns of x (B, n) as rows: (J, B).
template <class T>
Tensor<T> gather_columns(TensorView<const T> x, const std::vector<std::uint32_t>& kept) {
  const auto J = static_cast<Index>(kept.size());
  const Index B = x.dim(0), n = x.size() / B;
  Tensor<T> out = Tensor<T>::uninitialised({J, B});
  parallel_for(J, together, [&](Index begin, Index end) {
    for (Index b = 0; b < B; ++b)
      for (Index j = begin; j < end; ++j)
        out[j * B + b] = x[b * n + Index{kept[static_cast<std::size_t>(j)]}];
  });
  return out;
}

/// The way back: columns plus their base, and the base alone elsewhere.
template <class T>
Tensor<T> scatter_columns(const Tensor<T>& columns, const std::vector<std::uint32_t>& kept,
                          const Shape& shape, const std::vector<T>& bases) {
  const Index J = columns.dim(0), B = columns.dim(1), n = shape.elements() / B;
  Tensor<T> out{shape};
  if (!bases.empty())
    parallel_for(B, 4, [&](Index begin, Index end) {
      for (Index b = begin; b < end; ++b) std::ranges::copy(bases, out.data() + b * n);
    });
  parallel_for(J, together, [&](Index begin, Index end) {
    for (Index b = 0; b < B; ++b)
      for (Index j = begin; j < end; ++j) {
        T& value = out[b * n + Index{kept[static_cast<std::size_t>(j)]}];
        value = detail::limited(value + columns[j * B + b]);
      }
  });
  return out;
}

}  // namespace splitvit::codec::detail
