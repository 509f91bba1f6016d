// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min, ranges::copy, sort
#include <cmath>      // abs, floor, sqrt
#include <numeric>    // iota

#include <splitvit/core/finite.hpp>    // limited
#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/core/shape.hpp>     // Index, Shape
#include <splitvit/tensor/tensor.hpp>  // Tensor, TensorView

// Columns of a batch: the values at one place of all samples. Statistics of columns, the choice of
// those that are kept, and the conversion between samples and columns. Letters: B samples of n
// values, D channels, J columns of interest.

namespace splitvit::inline SPLITVIT_BUILD::codec::detail {

/// Mean of each column, and its standard deviation divided by the range of its channel.
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
      // Differences from the first sample: 0 exactly for equal values.
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
        means[column] = limited(static_cast<T>((first[j] + sum[j]) * unit));
        deviations[column] = std::sqrt(square[j] / static_cast<double>(B));
        lows[column] = first[j] + low[j];
        highs[column] = first[j] + high[j];
      }
    });
    const auto channels = static_cast<std::size_t>(D);
    for (std::size_t d = 0; d < channels; ++d) {
      double low = lows[d], high = highs[d];
      for (std::size_t j = d; j < means.size(); j += channels) {
        low = std::min(low, lows[j]);
        high = std::max(high, highs[j]);
      }
      for (std::size_t j = d; j < means.size(); j += channels)
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

/// The opposite: columns plus their base, and the base alone elsewhere.
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
        value = limited(value + columns[j * B + b]);
      }
  });
  return out;
}

/// Probabilities that sum to J, 0 <= J <= number of columns: min(1, t * deviation) with one t for
/// all. If at most J columns deviate, they have 1, and the others share the rest.
inline std::vector<double> keep_probabilities(std::span<const double> deviations, Index J) {
  const std::size_t n = deviations.size();
  std::vector<std::uint32_t> order(n);  // largest deviation first
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return deviations[a] != deviations[b] ? deviations[a] > deviations[b] : a < b;
  });
  std::vector<double> rest(n + 1);  // the sum from each place to the end
  for (std::size_t i = n; i-- > 0;) rest[i] = rest[i + 1] + deviations[order[i]];
  const auto left = static_cast<std::size_t>(J);
  std::size_t positive = 0;
  while (positive < n && deviations[order[positive]] > 0) ++positive;

  std::vector<double> out(n, 1.0);
  if (positive <= left) {
    const double share = static_cast<double>(left - positive) / static_cast<double>(n - positive);
    for (std::size_t i = positive; i < n; ++i) out[order[i]] = share;
    return out;
  }
  std::size_t m = 0;  // columns with probability 1
  while (m < left && static_cast<double>(left - m) * deviations[order[m]] >= rest[m]) ++m;
  const auto budget = static_cast<double>(left - m);
  for (std::size_t i = m; i < n; ++i)
    out[order[i]] = std::min(1.0, budget * deviations[order[i]] / rest[m]);
  return out;
}

/// J columns, each with its probability; the sum of these is J. `u` is one draw in [0, 1). A column
/// is kept where the running sum plus u passes a whole number: exactly J for every draw.
inline std::vector<std::uint32_t> choose_columns(std::span<const double> probabilities, Index J,
                                                 double u) {
  std::vector<char> kept(probabilities.size());
  Index left = J;
  const auto keep = [&](std::size_t j) {
    kept[j] = 1;
    --left;
  };
  for (std::size_t j = 0; j < kept.size(); ++j)
    if (probabilities[j] >= 1) keep(j);
  double sum = u, next = 1;
  for (std::size_t j = 0; j < kept.size() && left > 0; ++j) {
    if (kept[j] != 0) continue;
    sum += probabilities[j];
    if (sum < next || probabilities[j] <= 0) continue;
    keep(j);
    ++next;
  }
  // The last sum may be just below J, by rounding.
  for (std::size_t j = kept.size(); j-- > 0 && left > 0;)
    if (kept[j] == 0 && probabilities[j] > 0) keep(j);
  std::vector<std::uint32_t> out;
  for (std::size_t j = 0; j < kept.size(); ++j)
    if (kept[j] != 0) out.push_back(static_cast<std::uint32_t>(j));
  return out;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::codec::detail
