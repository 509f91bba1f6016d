// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // copy, copy_n, fill_n, max, min, min_element, sort
#include <array>        // array
#include <cmath>        // abs
#include <cstddef>      // size_t
#include <cstdint>      // int32_t, int64_t, uint16_t, uint32_t
#include <limits>       // numeric_limits
#include <numeric>      // partial_sum
#include <span>         // span
#include <type_traits>  // conditional_t, integral_constant
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

  /// The numbers of all pieces of a block lie between the least and the largest; and their sum.
  struct Summary {
    T least, largest;
    double sum;
  };

  /// pieces (m, d), divided by `scale`.
  Planes(TensorView<const T> pieces, T scale)
      : count{pieces.dim(0)},
        width{pieces.dim(1)},
        stride{(count + block - 1) / block * block},
        unit{scale},
        values(static_cast<std::size_t>(width * stride)) {
    if (count >= 1 << 14 && width <= widest_sorted) order = sorted_order(pieces);
    parallel_for(blocks(), 64, [&](Index begin, Index end) {
      for (Index b = begin; b < end; ++b)
        for (Index j = 0; j < width; ++j)
          for (Index i = b * block; i < b * block + filled(b); ++i)
            values[static_cast<std::size_t>(j * stride + i)] = pieces[piece(i) * width + j] / scale;
    });
    if (!order.empty()) summarise();
  }

  Index blocks() const { return stride / block; }
  /// Pieces of block b: the last one may not be full.
  Index filled(Index b) const { return std::min(block, count - b * block); }

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
  /// Where there is an order: of number j of the pieces of each block, (blocks, width).
  std::vector<Summary> summaries;

 private:
  void summarise() {
    summaries.resize(static_cast<std::size_t>(blocks() * width));
    parallel_for(blocks(), 64, [&](Index begin, Index end) {
      for (Index b = begin; b < end; ++b)
        for (Index j = 0; j < width; ++j) {
          const T* const from = values.data() + j * stride + b * block;
          Summary own{from[0], from[0], 0};
          for (Index i = 0; i < filled(b); ++i) {
            own.least = std::min(own.least, from[i]);
            own.largest = std::max(own.largest, from[i]);
            own.sum += static_cast<double>(from[i]);
          }
          summaries[static_cast<std::size_t>(b * width + j)] = own;
        }
    });
  }

  /// Pieces by their cell in a grid, whose lines are quantiles of a sample; each row of cells is
  /// gone through against the direction of the one before, so that neighbours stay together.
  static std::vector<std::uint32_t> sorted_order(TensorView<const T> pieces) {
    constexpr std::array<Index, widest_sorted + 1> lines_of_width{0, 1023, 111, 15, 7};
    constexpr std::size_t most_cells = 112 * 112;  // 111 lines each way; others have fewer
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
        std::array<NumberLike<T>, static_cast<std::size_t>(block)> passed{};
        for (Index l = j * lines; l < (j + 1) * lines; ++l)
          for (std::size_t i = 0; i < x.size(); ++i)
            passed[i] += x[i] > line[static_cast<std::size_t>(l)] ? 1 : 0;
        const auto last = static_cast<NumberLike<T>>(lines);
        for (std::size_t i = 0; i < x.size(); ++i)
          number[i] = number[i] * (last + 1) + (number[i] % 2 == 0 ? passed[i] : last - passed[i]);
      }
      for (Index i = begin; i < end; ++i)
        cell[static_cast<std::size_t>(i)] =
            static_cast<std::uint16_t>(number[static_cast<std::size_t>(i - begin)]);
    });
    std::vector<std::uint32_t> next(most_cells + 1);
    for (const std::uint16_t c : cell) ++next[c + std::size_t{1}];
    std::partial_sum(next.begin(), next.end(), next.begin());
    std::vector<std::uint32_t> out(cell.size());
    for (std::size_t i = 0; i < cell.size(); ++i)
      out[next[cell[i]]++] = static_cast<std::uint32_t>(i);
    return out;
  }
};

/// Words, first numbers first like Planes, so that many are compared at once; padded with words
/// that are infinitely far.
template <class T>
struct WordPlanes {
  static constexpr Index together = 16;

  /// words (W, d), one after the other.
  WordPlanes(const std::vector<T>& words, Index d)
      : count{static_cast<Index>(words.size()) / d},
        width{d},
        stride{(count + together - 1) / together * together},
        values(static_cast<std::size_t>(width * stride), std::numeric_limits<T>::infinity()) {
    for (Index k = 0; k < count; ++k)
      for (Index j = 0; j < width; ++j)
        values[static_cast<std::size_t>(j * stride + k)] =
            words[static_cast<std::size_t>(k * width + j)];
  }

  T at(Index k, Index j) const { return values[static_cast<std::size_t>(j * stride + k)]; }

  Index count;
  Index width;
  Index stride;
  std::vector<T> values;
};

/// The words that may be the nearest of some piece in a block, in their order.
template <class T>
class NearWords {
 public:
  /// Looks at the pieces of block b, by the box around them.
  void find(const Planes<T>& x, const WordPlanes<T>& words, Index b) {
    // A word is out if all of the box is nearer to another one. Each step rounds as that of a
    // distance does, so a little slack is for compilers that join steps only.
    constexpr auto lanes = static_cast<std::size_t>(WordPlanes<T>::together);
    nearest_.resize(static_cast<std::size_t>(words.stride));
    std::array<T, lanes> limits;
    limits.fill(std::numeric_limits<T>::infinity());
    for (Index k = 0; k < words.stride; k += WordPlanes<T>::together) {
      std::array<T, lanes> near{}, far{};
      for (Index j = 0; j < x.width; ++j) {
        const auto& box = x.summaries[static_cast<std::size_t>(b * x.width + j)];
        const T* const w = words.values.data() + j * words.stride + k;
        for (std::size_t lane = 0; lane < lanes; ++lane) {
          const T below = box.least - w[lane], above = w[lane] - box.largest;
          const T gap = std::max(T{0}, std::max(below, above));
          const T reach = std::max(std::abs(below), std::abs(above));
          near[lane] += gap * gap;
          far[lane] += reach * reach;
        }
      }
      std::ranges::copy(near, nearest_.begin() + k);
      for (std::size_t lane = 0; lane < lanes; ++lane)
        limits[lane] = std::min(limits[lane], far[lane]);
    }
    const T limit =
        *std::ranges::min_element(limits) * (1 + 64 * std::numeric_limits<T>::epsilon());
    numbers_.clear();
    for (Index k = 0; k < words.count; ++k)
      if (nearest_[static_cast<std::size_t>(k)] <= limit)
        numbers_.push_back(static_cast<std::uint16_t>(k));
    words_.clear();
    for (const std::uint16_t k : numbers_)
      for (Index j = 0; j < x.width; ++j) words_.push_back(words.at(k, j));
  }

  Index count() const { return static_cast<Index>(numbers_.size()); }
  const T* words() const { return words_.data(); }
  std::uint16_t number(std::size_t k) const { return numbers_[k]; }

 private:
  std::vector<T> nearest_, words_;
  std::vector<std::uint16_t> numbers_;
};

/// Which word each place of Planes belongs to.
struct Assignment {
  static constexpr std::int32_t several = -1;

  template <class T>
  explicit Assignment(const Planes<T>& x)
      : codes(static_cast<std::size_t>(x.count)),
        whole(static_cast<std::size_t>(x.blocks()), several) {}

  std::vector<std::uint16_t> codes;  ///< (count)
  std::vector<std::int32_t> whole;   ///< (blocks): the word of all its pieces, or `several`
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

/// The nearest word (the first one of several) for each place of x; words (W, d) one after the
/// other.
template <class T>
void find_nearest(const Planes<T>& x, const std::vector<T>& words, Assignment& found) {
  constexpr Index block = Planes<T>::block, together = 4;
  const bool sorted = !x.order.empty();
  const WordPlanes<T> planes{words, x.width};
  const auto work = std::max<Index>(1, planes.count * x.width / 64);
  parallel_for(x.blocks(), std::max<Index>(1, 64 / work), [&](Index begin, Index end) {
    Nearest<T> best;
    NearWords<T> near;
    for (Index b = begin; b < end; ++b) {
      std::uint16_t* const codes = found.codes.data() + b * block;
      std::int32_t& whole = found.whole[static_cast<std::size_t>(b)];
      if (sorted) {
        near.find(x, planes, b);
        whole = near.count() == 1 ? near.number(0) : Assignment::several;
        if (whole != Assignment::several) {
          std::fill_n(codes, x.filled(b), near.number(0));
          continue;
        }
      }
      const T* const from = x.values.data() + b * block;
      const T* const offered = sorted ? near.words() : words.data();
      const Index count = sorted ? near.count() : planes.count;
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
          for (Index k = 0; k < count; ++k) offer_long(from, x.stride, x.width, offered, k, best);
      }
      for (Index i = 0; i < x.filled(b); ++i) {
        const auto word = static_cast<std::size_t>(best.word[static_cast<std::size_t>(i)]);
        codes[i] = sorted ? near.number(word) : static_cast<std::uint16_t>(word);
      }
    }
  });
}

}  // namespace splitvit::codec::detail
