// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // fill, max, max_element, min, min_element
#include <array>      // array
#include <cmath>      // abs
#include <cstddef>    // size_t
#include <limits>     // numeric_limits
#include <numeric>    // accumulate
#include <optional>   // optional
#include <vector>     // vector

#include <splitvit/codec/detail/cell_order.hpp>  // CellOrder
#include <splitvit/codec/detail/with_width.hpp>  // with_width
#include <splitvit/core/parallel.hpp>            // parallel_for
#include <splitvit/core/shape.hpp>               // Index
#include <splitvit/kernel/simd.hpp>              // prefetch
#include <splitvit/tensor/tensor.hpp>            // Tensor, TensorView

// Very many short pieces, laid out so that many of them are compared at once, like ones together.

namespace splitvit::codec::detail {

/// Pieces, first numbers first: number j of one piece follows that of the piece before, so that
/// many pieces are compared at once. Padded with zeros to whole blocks.
///
/// Where there are many short pieces, like ones lie together: a block of them is near to few words,
/// and the others need not be looked at.
template <class T>
class Planes {
 public:
  static constexpr Index block = 256;

  /// The numbers of all pieces of a block lie between the least and the largest; and their sum.
  struct Summary {
    T least, largest;
    double sum;
    bool exact;  ///< no sum of some of them is rounded
  };

  /// pieces (m, d), divided by `scale`, a power of two.
  Planes(TensorView<const T> pieces, T scale)
      : count{pieces.dim(0)},
        width{pieces.dim(1)},
        stride{(count + block - 1) / block * block},
        unit{scale},
        values_{Tensor<T>::uninitialised({width, stride})} {
    for (Index j = 0; j < width; ++j)
      std::fill(values_.data() + j * stride + count, values_.data() + (j + 1) * stride, T{});
    if (count >= 1 << 14 && width <= CellOrder<T>::widest) {
      order_.emplace(pieces, scale, blocks());
      with_width(width, [&](auto d) { gather(d, pieces); });
      summarise();
    } else {
      parallel_for(count, 64 * block, [&](Index begin, Index end) {
        for (Index j = 0; j < width; ++j)
          for (Index i = begin; i < end; ++i)
            values_[j * stride + i] = pieces[i * width + j] / unit;
      });
    }
  }

  Index blocks() const { return stride / block; }
  /// Pieces of block b: the last one may not be full.
  Index filled(Index b) const { return std::min(block, count - b * block); }

  /// Numbers j of all places.
  const T* plane(Index j) const { return values_.data() + j * stride; }
  T at(Index i, Index j) const { return plane(j)[i]; }

  bool sorted() const { return order_.has_value(); }
  /// Of numbers j of the pieces of block b, where they are sorted.
  const Summary& summary(Index b, Index j) const {
    return summaries_[static_cast<std::size_t>(b * width + j)];
  }

  /// What is known of each place, of each piece instead.
  template <class Known>
  std::vector<Known> by_piece(std::vector<Known> by_place) const {
    if (!sorted()) return by_place;
    std::vector<Known> out(by_place.size());
    order_->visit_runs([&](const auto& run) {
      for (std::size_t i = 0; i < run.within.size(); ++i)
        out[static_cast<std::size_t>(run.first + run.within[i])] =
            by_place[static_cast<std::size_t>(run.place) + i];
    });
    return out;
  }

  const Index count;
  const Index width;
  const Index stride;
  const T unit;

 private:
  /// Fills the planes of sorted pieces, which come from anywhere in a part.
  template <class Width>
  void gather(Width d, TensorView<const T> pieces) {
    const T factor = T{1} / unit;  // a power of two: as exact as the division
    const auto ask_for = [&](Index first, Index end) {
      constexpr auto line = static_cast<Index>(64 / sizeof(T));
      for (Index i = first * d; i < end * d; i += line) kernel::prefetch(&pieces[i]);
    };
    order_->visit_runs(ask_for, [&](const auto& run) {
      const T* const x = pieces.data() + run.first * d;
      T* const to = values_.data() + run.place;
      for (std::size_t i = 0; i < run.within.size(); ++i)
        for (Index j = 0; j < d; ++j)
          to[j * stride + static_cast<Index>(i)] = x[run.within[i] * d + j] * factor;
    });
  }

  void summarise() {
    summaries_.resize(static_cast<std::size_t>(blocks() * width));
    parallel_for(blocks(), 64, [&](Index begin, Index end) {
      for (Index b = begin; b < end; ++b)
        for (Index j = 0; j < width; ++j)
          summaries_[static_cast<std::size_t>(b * width + j)] =
              summary_of(plane(j) + b * block, filled(b));
    });
  }

  static Summary summary_of(const T* x, Index n) {
    constexpr Index lanes = 16;
    constexpr T infinite = std::numeric_limits<T>::infinity();
    std::array<T, lanes> least, largest, smallest;  // smallest: in size, but for zeros
    std::array<double, lanes> sums{};
    least.fill(x[0]);
    largest.fill(x[0]);
    smallest.fill(infinite);
    const auto take = [&](std::size_t lane, T value) {
      least[lane] = std::min(least[lane], value);
      largest[lane] = std::max(largest[lane], value);
      smallest[lane] = std::min(smallest[lane], value == T{0} ? infinite : std::abs(value));
      sums[lane] += static_cast<double>(value);
    };
    Index i = 0;
    for (; i + lanes <= n; i += lanes)
      for (std::size_t lane = 0; lane < lanes; ++lane) take(lane, x[i + static_cast<Index>(lane)]);
    for (; i < n; ++i) take(0, x[i]);
    Summary all{*std::ranges::min_element(least), *std::ranges::max_element(largest),
                std::accumulate(sums.begin(), sums.end(), 0.0), false};
    // A double has 29 bits more than a float: 8 for 256 of them, 21 for how sizes differ.
    if constexpr (sizeof(T) == 4)
      all.exact =
          std::max(-all.least, all.largest) <= T{0x1p21f} * *std::ranges::min_element(smallest);
    return all;
  }

  Tensor<T> values_;                   // (width, stride)
  std::optional<CellOrder<T>> order_;  // none: as they came
  std::vector<Summary> summaries_;
};

}  // namespace splitvit::codec::detail
