// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // max, min
#include <array>        // array
#include <cmath>        // abs
#include <cstddef>      // size_t
#include <cstdint>      // int32_t, int64_t, uint16_t
#include <limits>       // numeric_limits
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

/// Pieces, first numbers first: number j of piece i follows that of piece i - 1, so that many
/// pieces are compared at once. Padded with zeros to whole blocks.
template <class T>
struct Planes {
  static constexpr Index block = 256;

  /// pieces (m, d), divided by `scale`.
  Planes(TensorView<const T> pieces, T scale)
      : count{pieces.dim(0)},
        width{pieces.dim(1)},
        stride{(count + block - 1) / block * block},
        unit{scale},
        values(static_cast<std::size_t>(width * stride)) {
    parallel_for(count, 1 << 14, [&](Index begin, Index end) {
      for (Index j = 0; j < width; ++j) {
        T* const to = values.data() + j * stride;
        for (Index i = begin; i < end; ++i) to[i] = pieces[i * width + j] / scale;
      }
    });
  }

  T at(Index i, Index j) const { return values[static_cast<std::size_t>(j * stride + i)]; }

  Index count;
  Index width;
  Index stride;
  T unit;
  std::vector<T> values;
};

/// The best word so far of each piece of a block, and how far it is (squared). Numbers of the
/// same size as T, so that both fill equally many lanes.
template <class T>
struct Nearest {
  using Number = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
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

/// The nearest word (the first one of several) and its squared distance for each piece.
template <class T>
void find_nearest(const Planes<T>& x, const std::vector<T>& words,
                  std::vector<std::uint16_t>& codes, std::vector<T>& distances) {
  constexpr Index block = Planes<T>::block, together = 4;
  const Index W = static_cast<Index>(words.size()) / x.width;
  const auto offer_all = [&](const T* from, Nearest<T>& best, auto width) {
    Index k = 0;
    for (; k + together <= W; k += together)
      offer_short<together, width()>(from, x.stride, words.data(), k, best);
    for (; k < W; ++k) offer_short<1, width()>(from, x.stride, words.data(), k, best);
  };
  const auto work = std::max<Index>(1, W * x.width / 64);
  parallel_for(x.stride / block, std::max<Index>(1, 64 / work), [&](Index begin, Index end) {
    Nearest<T> best;
    for (Index b = begin; b < end; ++b) {
      const T* const from = x.values.data() + b * block;
      best.distance.fill(std::numeric_limits<T>::infinity());
      best.word.fill(0);
      switch (x.width) {
        case 1:
          offer_all(from, best, std::integral_constant<Index, 1>{});
          break;
        case 2:
          offer_all(from, best, std::integral_constant<Index, 2>{});
          break;
        case 3:
          offer_all(from, best, std::integral_constant<Index, 3>{});
          break;
        case 4:
          offer_all(from, best, std::integral_constant<Index, 4>{});
          break;
        default:
          for (Index k = 0; k < W; ++k) offer_long(from, x.stride, x.width, words.data(), k, best);
      }
      const Index filled = std::min(block, x.count - b * block);
      for (Index i = 0; i < filled; ++i) {
        const auto piece = static_cast<std::size_t>(b * block + i),
                   place = static_cast<std::size_t>(i);
        codes[piece] = static_cast<std::uint16_t>(best.word[place]);
        distances[piece] = best.distance[place];
      }
    }
  });
}

}  // namespace splitvit::codec::detail
