// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // copy_n, max, min, minmax_element, sort
#include <array>        // array
#include <cmath>        // abs
#include <cstddef>      // size_t
#include <cstdint>      // int32_t, int64_t, uint16_t, uint32_t
#include <limits>       // numeric_limits
#include <numeric>      // partial_sum
#include <span>         // span
#include <type_traits>  // conditional_t
#include <vector>       // vector

#include <splitvit/core/parallel.hpp>  // parallel_for, parallel_reduce
#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/tensor/tensor.hpp>  // TensorView

// The nearest of some words for each of very many short pieces.

namespace splitvit::codec::detail {

/// A power of two to divide by so that no square overflows: 1 for all but absurdly large
/// numbers.
template <class T>
T unit_of(std::span<const T> values) {
  constexpr T safe = sizeof(T) == 4 ? T{0x1p50f} : static_cast<T>(0x1p480);
  const auto most = [&](Index begin, Index end) {
    T found = 0;
    for (Index i = begin; i < end; ++i)
      found = std::max(found, std::abs(values[static_cast<std::size_t>(i)]));
    return found;
  };
  const auto larger = [](T a, T b) { return std::max(a, b); };
  const T largest =
      parallel_reduce(static_cast<Index>(values.size()), Index{1} << 15, T{0}, most, larger);
  return largest > safe ? std::numeric_limits<T>::max() / safe : T{1};
}

/// Numbers of the same size as T, so that both fill equally many lanes.
template <class T>
using NumberLike = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;

/// Pieces, first numbers first: number j of one piece follows that of the piece before, so that
/// many pieces are compared at once. Padded with zeros to whole blocks.
///
/// Where there are many short pieces, like ones lie together: a block of them is near to few words,
/// and the others need not be looked at. Piece number piece(i) is then at place i.
template <class T>
struct Planes {
  static constexpr Index block = 256;
  static constexpr Index widest_sorted = 4;

  /// pieces (m, d), divided by `scale`.
  Planes(TensorView<const T> pieces, T scale)
      : count{pieces.dim(0)},
        width{pieces.dim(1)},
        stride{(count + block - 1) / block * block},
        unit{scale},
        values(static_cast<std::size_t>(width * stride)) {
    if (count >= 1 << 14 && width <= widest_sorted) order = sorted_order(pieces);
    parallel_for(stride / block, 64, [&](Index begin, Index end) {
      for (Index j = 0; j < width; ++j)
        for (Index i = begin * block; i < std::min(count, end * block); ++i)
          values[static_cast<std::size_t>(j * stride + i)] = pieces[piece(i) * width + j] / scale;
    });
    if (!order.empty()) find_boxes();
  }

  T at(Index i, Index j) const { return values[static_cast<std::size_t>(j * stride + i)]; }
  Index piece(Index i) const {
    return order.empty() ? i : static_cast<Index>(order[static_cast<std::size_t>(i)]);
  }

  /// What is known of each place, of each piece instead.
  template <class Known>
  std::vector<Known> by_piece(std::vector<Known> by_place) const {
    if (order.empty()) return by_place;
    std::vector<Known> out(by_place.size());
    parallel_for(count, Index{1} << 15, [&](Index begin, Index end) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
        out[order[i]] = by_place[i];
    });
    return out;
  }

  Index count;
  Index width;
  Index stride;
  T unit;
  std::vector<T> values;
  std::vector<std::uint32_t> order;  ///< empty: as they came
  /// Where there is an order: the least and the largest number j of the pieces of each block, the
  /// blocks one after the other.
  std::vector<T> low, high;

 private:
  void find_boxes() {
    low.resize(static_cast<std::size_t>(stride / block * width));
    high.resize(low.size());
    parallel_for(stride / block, 64, [&](Index begin, Index end) {
      for (Index b = begin; b < end; ++b)
        for (Index j = 0; j < width; ++j) {
          const T* const from = values.data() + j * stride + b * block;
          const auto [least, most] =
              std::minmax_element(from, from + std::min(block, count - b * block));
          low[static_cast<std::size_t>(b * width + j)] = *least;
          high[static_cast<std::size_t>(b * width + j)] = *most;
        }
    });
  }

  /// Pieces by their cell in a grid of some 4096 cells, whose lines are quantiles of a sample.
  static std::vector<std::uint32_t> sorted_order(TensorView<const T> pieces) {
    constexpr std::array<Index, widest_sorted + 1> lines_of_width{0, 4095, 63, 15, 7};
    constexpr Index sample = 4096;
    const Index m = pieces.dim(0), d = pieces.dim(1), n = std::min(m, sample);
    const Index lines = lines_of_width[static_cast<std::size_t>(d)];
    std::vector<T> line;  // (d, lines)
    for (Index j = 0; j < d; ++j) {
      std::vector<T> seen;
      for (Index i = 0; i < n; ++i) seen.push_back(pieces[i * m / n * d + j]);
      std::ranges::sort(seen);
      for (Index l = 1; l <= lines; ++l)
        line.push_back(seen[static_cast<std::size_t>(l * n / (lines + 1))]);
    }
    std::vector<std::uint16_t> cell(static_cast<std::size_t>(m));
    parallel_for(m, block, [&](Index begin, Index end) {
      std::array<NumberLike<T>, static_cast<std::size_t>(block)> number{};
      std::array<T, static_cast<std::size_t>(block)> x{};
      for (Index j = 0; j < d; ++j) {
        for (Index i = begin; i < end; ++i)
          x[static_cast<std::size_t>(i - begin)] = pieces[i * d + j];
        for (auto& so_far : number) so_far *= static_cast<NumberLike<T>>(lines + 1);
        for (Index l = j * lines; l < (j + 1) * lines; ++l)
          for (std::size_t i = 0; i < x.size(); ++i)
            number[i] += x[i] > line[static_cast<std::size_t>(l)] ? 1 : 0;
      }
      for (Index i = begin; i < end; ++i)
        cell[static_cast<std::size_t>(i)] =
            static_cast<std::uint16_t>(number[static_cast<std::size_t>(i - begin)]);
    });
    std::vector<std::uint32_t> next(4097);
    for (const std::uint16_t c : cell) ++next[c + std::size_t{1}];
    std::partial_sum(next.begin(), next.end(), next.begin());
    std::vector<std::uint32_t> out(cell.size());
    for (std::size_t i = 0; i < cell.size(); ++i)
      out[next[cell[i]]++] = static_cast<std::uint32_t>(i);
    return out;
  }
};

/// The words that may be the nearest of some piece in a block, in their order.
template <class T>
class NearWords {
 public:
  /// Looks at the pieces of block b, by the box around them.
  void find(const Planes<T>& x, const std::vector<T>& words, Index b) {
    const Index d = x.width, W = static_cast<Index>(words.size()) / d;
    const T* const low = x.low.data() + b * d;
    const T* const high = x.high.data() + b * d;
    // A word is out if all of the box is nearer to another one. Each step rounds as that of a
    // distance does, so a little slack is for compilers that join steps only.
    nearest_.resize(static_cast<std::size_t>(W));
    T limit = std::numeric_limits<T>::infinity();
    for (Index k = 0; k < W; ++k) {
      T near = 0, far = 0;
      for (Index j = 0; j < d; ++j) {
        const T w = words[static_cast<std::size_t>(k * d + j)];
        const T below = low[j] - w;
        const T above = w - high[j];
        const T gap = std::max(T{0}, std::max(below, above));
        const T reach = std::max(std::abs(below), std::abs(above));
        near += gap * gap;
        far += reach * reach;
      }
      nearest_[static_cast<std::size_t>(k)] = near;
      limit = std::min(limit, far);
    }
    limit *= 1 + 64 * std::numeric_limits<T>::epsilon();
    numbers_.clear();
    words_.clear();
    for (Index k = 0; k < W; ++k) {
      if (!(nearest_[static_cast<std::size_t>(k)] <= limit)) continue;
      numbers_.push_back(static_cast<std::uint16_t>(k));
      for (Index j = 0; j < d; ++j) words_.push_back(words[static_cast<std::size_t>(k * d + j)]);
    }
  }

  Index count() const { return static_cast<Index>(numbers_.size()); }
  const T* words() const { return words_.data(); }
  std::uint16_t number(std::size_t k) const { return numbers_[k]; }

 private:
  std::vector<T> nearest_, words_;
  std::vector<std::uint16_t> numbers_;
};

/// The best word so far of each piece of a block, and how far it is (squared).
template <class T>
struct Nearest {
  using Number = NumberLike<T>;
  std::array<T, static_cast<std::size_t>(Planes<T>::block)> distance;
  std::array<Number, static_cast<std::size_t>(Planes<T>::block)> word;
};

/// Offers words first..first + count - 1 to the pieces of a block, whose numbers are `width`.
template <Index count, Index width, class T>
void offer_short(const T* x, Index stride, const T* words, Index first, Nearest<T>& best) {
  using Number = typename Nearest<T>::Number;
  std::array<T, static_cast<std::size_t>(count * width)> w;
  std::copy_n(words + first * width, count * width, w.begin());
  T* const distance = best.distance.data();
  Number* const word = best.word.data();
  for (Index i = 0; i < Planes<T>::block; ++i) {
    T least = distance[i];
    Number nearest = word[i];
    for (Index k = 0; k < count; ++k) {
      T sum = 0;
      for (Index j = 0; j < width; ++j) {
        const T gap = x[j * stride + i] - w[static_cast<std::size_t>(k * width + j)];
        sum += gap * gap;
      }
      nearest = sum < least ? static_cast<Number>(first + k) : nearest;
      least = sum < least ? sum : least;
    }
    distance[i] = least;
    word[i] = nearest;
  }
}

/// The same for one word of any width.
template <class T>
void offer_long(const T* x, Index stride, Index width, const T* words, Index k, Nearest<T>& best) {
  using Number = typename Nearest<T>::Number;
  std::array<T, static_cast<std::size_t>(Planes<T>::block)> sum{};
  for (Index j = 0; j < width; ++j) {
    const T w = words[k * width + j];
    const T* const from = x + j * stride;
    for (std::size_t i = 0; i < sum.size(); ++i) {
      const T gap = from[i] - w;
      sum[i] += gap * gap;
    }
  }
  for (std::size_t i = 0; i < sum.size(); ++i) {
    best.word[i] = sum[i] < best.distance[i] ? static_cast<Number>(k) : best.word[i];
    best.distance[i] = sum[i] < best.distance[i] ? sum[i] : best.distance[i];
  }
}

/// The nearest word (the first one of several) and its squared distance for each place of x.
template <class T>
void find_nearest(const Planes<T>& x, const std::vector<T>& words,
                  std::vector<std::uint16_t>& codes, std::vector<T>& distances) {
  constexpr Index block = Planes<T>::block, together = 4;
  const Index W = static_cast<Index>(words.size()) / x.width;
  const auto work = std::max<Index>(1, W * x.width / 64);
  parallel_for(x.stride / block, std::max<Index>(1, 64 / work), [&](Index begin, Index end) {
    Nearest<T> best;
    NearWords<T> near;
    for (Index b = begin; b < end; ++b) {
      const T* const from = x.values.data() + b * block;
      const Index filled = std::min(block, x.count - b * block);
      if (!x.order.empty()) near.find(x, words, b);
      const T* const offered = x.order.empty() ? words.data() : near.words();
      const Index count = x.order.empty() ? W : near.count();
      best.distance.fill(std::numeric_limits<T>::infinity());
      best.word.fill(0);
      const auto offer_all = [&](auto width) {
        Index k = 0;
        for (; k + together <= count; k += together)
          offer_short<together, width()>(from, x.stride, offered, k, best);
        for (; k < count; ++k) offer_short<1, width()>(from, x.stride, offered, k, best);
      };
      switch (x.width) {
        case 1:
          offer_all(std::integral_constant<Index, 1>{});
          break;
        case 2:
          offer_all(std::integral_constant<Index, 2>{});
          break;
        case 3:
          offer_all(std::integral_constant<Index, 3>{});
          break;
        case 4:
          offer_all(std::integral_constant<Index, 4>{});
          break;
        default:
          for (Index k = 0; k < W; ++k) offer_long(from, x.stride, x.width, offered, k, best);
      }
      for (Index i = 0; i < filled; ++i) {
        const auto own = static_cast<std::size_t>(i);
        const auto place = static_cast<std::size_t>(b * block + i);
        const auto word = static_cast<std::size_t>(best.word[own]);
        codes[place] = x.order.empty() ? static_cast<std::uint16_t>(word) : near.number(word);
        distances[place] = best.distance[own];
      }
    }
  });
}

}  // namespace splitvit::codec::detail
