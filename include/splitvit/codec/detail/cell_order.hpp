// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min, sort
#include <array>      // array
#include <cmath>      // pow
#include <cstddef>    // size_t
#include <cstdint>    // int32_t, uint16_t, uint32_t
#include <limits>     // numeric_limits
#include <numeric>    // exclusive_scan, partial_sum
#include <span>       // span
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/codec/detail/with_width.hpp>  // with_width
#include <splitvit/core/parallel.hpp>            // parallel_for
#include <splitvit/core/shape.hpp>               // Index
#include <splitvit/core/workspace.hpp>           // RecycledVector
#include <splitvit/tensor/tensor.hpp>            // Tensor, TensorView

// An order of very many short pieces in which like ones lie together.

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

/// A place for each piece: by its cell in a grid, and in a cell as they came. Each row of cells is
/// gone through against the direction of the one before, so that neighbours stay together.
template <class T>
class CellOrder {
 public:
  static constexpr Index widest = 4;

  /// pieces (m, d), m at most 2^32 and d at most `widest`, which are divided by `unit`; about
  /// `cells` cells.
  CellOrder(TensorView<const T> pieces, T unit, Index cells)
      : pieces_{pieces.dim(0)},
        parts_{(pieces_ + part - 1) / part},
        across_{cells_across(std::min(cells, most_cells), pieces.dim(1))},
        within_{Tensor<std::uint16_t>::uninitialised({pieces_})} {
    for (Index j = 0; j < pieces.dim(1); ++j) cells_ *= across_;
    const std::vector<Strips<T>> strips = strips_of(pieces, unit);
    places_.resize(static_cast<std::size_t>(cells_ * parts_ + 1));
    with_width(pieces.dim(1), [&](auto width) {
      parallel_for(parts_, 1, [&](Index p, Index) { sort_part(width, pieces, unit, strips, p); });
    });
    std::exclusive_scan(places_.begin(), places_.end(), places_.begin(), 0u);
  }

  /// Piece first + within[i] has place `place` + i.
  struct Run {
    Index place, first;
    std::span<const std::uint16_t> within;
  };

  /// Calls before(first, end) for consecutive pieces, then visit(run) for each run of them; by
  /// several threads.
  template <class Before, class Visit>
  void visit_runs(const Before& before, const Visit& visit) const {
    parallel_for(parts_, 1, [&](Index p, Index) {
      before(p * part, std::min((p + 1) * part, pieces_));
      const std::uint16_t* next = within_.data() + p * part;
      for (Index c = 0; c < cells_; ++c) {
        const std::uint32_t* const place = places_.data() + c * parts_ + p;
        const std::size_t n = place[1] - place[0];
        if (n > 0) visit(Run{Index{place[0]}, p * part, {next, n}});
        next += n;
      }
    });
  }
  template <class Visit>
  void visit_runs(const Visit& visit) const {
    visit_runs([](Index, Index) {}, visit);
  }

 private:
  /// So many pieces are sorted at a time: their values stay in the second cache.
  static constexpr Index part = 1 << 16;
  static constexpr Index most_cells = 1 << 12;  // so that a run is not too short

  static std::int32_t cells_across(Index cells, Index width) {
    return static_cast<std::int32_t>(
        std::pow(static_cast<double>(cells), 1 / static_cast<double>(width)) + 1e-6);
  }

  std::vector<Strips<T>> strips_of(TensorView<const T> pieces, T unit) const {
    const Index n = std::min<Index>(pieces_, 2048), width = pieces.dim(1);
    std::vector<Strips<T>> strips;
    for (Index j = 0; j < width; ++j) {
      std::vector<T> sample;
      for (Index i = 0; i < n; ++i) sample.push_back(pieces[i * pieces_ / n * width + j] / unit);
      strips.emplace_back(std::move(sample), across_);
    }
    return strips;
  }

  /// The pieces of part p in the order of their cells, and how many are in each.
  template <class Width>
  void sort_part(Width width, TensorView<const T> pieces, T unit,
                 const std::vector<Strips<T>>& strips, Index p) {
    constexpr Index block = 256;  // pieces of which the cells are found together
    const Index begin = p * part, n = std::min(part, pieces_ - begin);
    const T factor = T{1} / unit;  // a power of two: as exact as the division
    RecycledVector<std::uint16_t> cell(static_cast<std::size_t>(n));
    RecycledVector<std::uint32_t> next(static_cast<std::size_t>(cells_));
    std::array<T, block> x{};
    std::array<std::int32_t, block> strip{}, number;
    for (Index first = 0; first < n; first += block) {
      const Index some = std::min(block, n - first);
      const T* const from = pieces.data() + (begin + first) * width;
      number.fill(0);
      for (Index j = 0; j < width; ++j) {
        for (Index i = 0; i < some; ++i)
          x[static_cast<std::size_t>(i)] = from[i * width + j] * factor;
        strips[static_cast<std::size_t>(j)].find(x.data(), some, strip.data());
        for (std::size_t i = 0; i < number.size(); ++i)
          number[i] =
              number[i] * across_ + (number[i] % 2 == 0 ? strip[i] : across_ - 1 - strip[i]);
      }
      for (Index i = 0; i < some; ++i) {
        const auto own = static_cast<std::uint16_t>(number[static_cast<std::size_t>(i)]);
        cell[static_cast<std::size_t>(first + i)] = own;
        ++next[own];
      }
    }
    for (Index c = 0; c < cells_; ++c)
      places_[static_cast<std::size_t>(c * parts_ + p)] = next[static_cast<std::size_t>(c)];
    std::exclusive_scan(next.begin(), next.end(), next.begin(), 0u);
    std::uint16_t* const within = within_.data() + begin;
    for (std::size_t i = 0; i < cell.size(); ++i)
      within[next[cell[i]]++] = static_cast<std::uint16_t>(i);
  }

  Index pieces_, parts_;
  std::int32_t across_;
  Index cells_ = 1;
  Tensor<std::uint16_t> within_;          // (m): which of its part, part by part, cell by cell
  RecycledVector<std::uint32_t> places_;  // (cells, parts), and one: of the first piece of each
};

}  // namespace splitvit::codec::detail
