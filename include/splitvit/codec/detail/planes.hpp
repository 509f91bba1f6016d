// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // fill, max, max_element, min, min_element, sort
#include <array>      // array
#include <cmath>      // abs, pow
#include <cstddef>    // size_t
#include <cstdint>    // int32_t, uint16_t, uint32_t
#include <limits>     // numeric_limits
#include <numeric>    // accumulate, partial_sum
#include <utility>    // exchange, move
#include <vector>     // vector

#include <splitvit/core/parallel.hpp>   // parallel_for
#include <splitvit/core/shape.hpp>      // Index
#include <splitvit/core/workspace.hpp>  // RecycledVector
#include <splitvit/kernel/simd.hpp>     // prefetch_to_read
#include <splitvit/tensor/tensor.hpp>   // Tensor, TensorView

// Very many short pieces, laid out so that many of them are compared at once, like ones together.

namespace splitvit::codec::detail {

/// The line of numbers in strips that hold about equally many of a sample; towards both ends,
/// where numbers lie far apart, fewer and fewer.
template <class T>
class Strips {
 public:
  /// `count` strips, at least 1.
  Strips(std::vector<T> sample, Index count) : strip_of_slot_(slots) {
    std::ranges::sort(sample);
    const auto line = [&](Index l) {
      const double part = static_cast<double>(l) / static_cast<double>(count);
      const double below = part * part * (3 - 2 * part);
      return sample[static_cast<std::size_t>(below * static_cast<double>(sample.size()))];
    };
    if (count == 1) return;
    low_ = line(1);
    constexpr T most = std::numeric_limits<T>::max();
    const T range = line(count - 1) - low_;
    scale_ = range > 0 ? std::min(T{slots - 2} / range, most) : most;
    for (Index l = 1; l < count; ++l) ++strip_of_slot_[static_cast<std::size_t>(slot(line(l)))];
    std::partial_sum(strip_of_slot_.begin(), strip_of_slot_.end(), strip_of_slot_.begin());
  }

  /// The strip that each of n numbers lies in, below `count`.
  void find(const T* x, Index n, std::int32_t* strip) const {
    for (Index i = 0; i < n; ++i) strip[i] = slot(x[i]);
    for (Index i = 0; i < n; ++i) strip[i] = strip_of_slot_[static_cast<std::size_t>(strip[i])];
  }

 private:
  static constexpr Index slots = 4096;

  /// Equal parts of the line between the first and the last boundary; 0 is what lies below.
  std::int32_t slot(T x) const {
    const T place = (x - low_) * scale_ + T{1};
    return static_cast<std::int32_t>(std::min(std::max(T{0}, place), T{slots - 1}));  // NaN: 0
  }

  T low_ = 0, scale_ = 0;
  std::vector<std::uint16_t> strip_of_slot_;
};

/// Pieces, first numbers first: number j of one piece follows that of the piece before, so that
/// many pieces are compared at once. Padded with zeros to whole blocks.
///
/// Where there are many short pieces, like ones lie together: a block of them is near to few words,
/// and the others need not be looked at. Piece number piece(i) is then at place i.
template <class T>
class Planes {
 public:
  static constexpr Index block = 256;
  static constexpr Index widest_sorted = 4;

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
    if (count >= 1 << 14 && width <= widest_sorted) sort(pieces);
    parallel_for(blocks(), 64, [&](Index begin, Index end) {
      for (Index b = begin; b < end; ++b) {
        const Index first = b * block, last = first + filled(b);
        // Sorted pieces come from anywhere: those of the next block are asked for in time.
        if (sorted())
          for (Index i = last; i < std::min(last + block, count); ++i)
            kernel::prefetch_to_read(&pieces[piece(i) * width]);
        for (Index j = 0; j < width; ++j)
          for (Index i = first; i < last; ++i)
            values_[j * stride + i] = pieces[piece(i) * width + j] / scale;
      }
    });
    if (sorted()) summarise();
  }

  Index blocks() const { return stride / block; }
  /// Pieces of block b: the last one may not be full.
  Index filled(Index b) const { return std::min(block, count - b * block); }

  /// Numbers j of all places.
  const T* plane(Index j) const { return values_.data() + j * stride; }
  T at(Index i, Index j) const { return plane(j)[i]; }

  bool sorted() const { return order_.size() > 0; }
  Index piece(Index i) const { return sorted() ? static_cast<Index>(order_[i]) : i; }
  /// Of numbers j of the pieces of block b, where they are sorted.
  const Summary& summary(Index b, Index j) const {
    return summaries_[static_cast<std::size_t>(b * width + j)];
  }

  /// What is known of each place, of each piece instead.
  template <class Known>
  std::vector<Known> by_piece(std::vector<Known> by_place) const {
    if (!sorted()) return by_place;
    std::vector<Known> out(by_place.size());
    parallel_for(count, Index{1} << 15, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) out[static_cast<std::size_t>(i)] = by_place[place_[i]];
    });
    return out;
  }

  const Index count;
  const Index width;
  const Index stride;
  const T unit;

 private:
  static constexpr Index most_cells = 1 << 16;

  /// Pieces by their cell in a grid with about as many cells as there are blocks. Each row of
  /// cells is gone through against the direction of the one before, so that neighbours stay
  /// together.
  void sort(TensorView<const T> pieces) {
    const std::int32_t across = cells_across();
    Index cells = 1;
    for (Index j = 0; j < width; ++j) cells *= across;
    const std::vector<Strips<T>> strips = strips_of(pieces, across);
    // In parts, each of which counts and places its own pieces.
    const Index part = std::max(Index{1} << 16, (count + 15) / 16);
    const Index parts = (count + part - 1) / part;
    RecycledVector<std::uint32_t> next(static_cast<std::size_t>(parts * cells));
    auto cell = Tensor<std::uint16_t>::uninitialised({count});
    parallel_for(count, part, [&](Index begin, Index end) {
      std::uint32_t* const pieces_of = next.data() + begin / part * cells;
      std::array<T, block> x{};
      std::array<std::int32_t, block> strip{}, number;
      for (Index first = begin; first < end; first += block) {
        const Index n = std::min(block, end - first);
        number.fill(0);
        for (Index j = 0; j < width; ++j) {
          for (Index i = 0; i < n; ++i)
            x[static_cast<std::size_t>(i)] = pieces[(first + i) * width + j] / unit;
          strips[static_cast<std::size_t>(j)].find(x.data(), n, strip.data());
          for (std::size_t i = 0; i < number.size(); ++i)
            number[i] =
                number[i] * across + (number[i] % 2 == 0 ? strip[i] : across - 1 - strip[i]);
        }
        for (Index i = 0; i < n; ++i) {
          const std::int32_t own = number[static_cast<std::size_t>(i)];
          cell[first + i] = static_cast<std::uint16_t>(own);
          ++pieces_of[own];
        }
      }
    });
    std::uint32_t before = 0;
    for (Index c = 0; c < cells; ++c)
      for (Index p = 0; p < parts; ++p)
        before += std::exchange(next[static_cast<std::size_t>(p * cells + c)], before);
    order_ = Tensor<std::uint32_t>::uninitialised({count});
    place_ = Tensor<std::uint32_t>::uninitialised({count});
    parallel_for(count, part, [&](Index begin, Index end) {
      std::uint32_t* const place_of = next.data() + begin / part * cells;
      for (Index i = begin; i < end; ++i) {
        const std::uint32_t place = place_of[cell[i]]++;
        place_[i] = place;
        order_[place] = static_cast<std::uint32_t>(i);
      }
    });
  }

  /// So many cells along each number: blocks^(1 / width).
  std::int32_t cells_across() const {
    const auto root = [&](Index n) {
      return std::pow(static_cast<double>(n), 1 / static_cast<double>(width));
    };
    return static_cast<std::int32_t>(root(std::min(blocks(), most_cells)) + 1e-6);
  }

  std::vector<Strips<T>> strips_of(TensorView<const T> pieces, Index across) const {
    const Index n = std::min<Index>(count, 2048);
    std::vector<Strips<T>> strips;
    for (Index j = 0; j < width; ++j) {
      std::vector<T> sample;
      for (Index i = 0; i < n; ++i) sample.push_back(pieces[i * count / n * width + j] / unit);
      strips.emplace_back(std::move(sample), across);
    }
    return strips;
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

  Tensor<T> values_;             // (width, stride)
  Tensor<std::uint32_t> order_;  // (count): the piece at each place; or empty: as they came
  Tensor<std::uint32_t> place_;  // (count): the place of each piece, where there is an order
  std::vector<Summary> summaries_;
};

}  // namespace splitvit::codec::detail
