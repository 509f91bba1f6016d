// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, max, min

#include <splitvit/kernel/brain_pair.hpp>   // interleaved, neighbours, transpose
#include <splitvit/kernel/matrix.hpp>       // Factor
#include <splitvit/kernel/matrix_unit.hpp>  // by_matrix_unit, has_matrix_unit, unit_rows
#include <splitvit/kernel/simd.hpp>         // lanes, load, Pack, store
#include <splitvit/kernel/tile.hpp>         // tile_cols, tile_rows, TileRows

// Both factors of a product in the order in which tiles read them: as they are, or as pairs of
// bfloat16. A sum of odd length ends with a pair whose second number is zero.

namespace splitvit::inline SPLITVIT_BUILD::kernel::detail {

/// The rows of A that a tile reads at a time. With so many elements in each they stay in the
/// first-level cache.
inline constexpr Index depth_block = 384;

/// Rows begin..end-1 of B, from `column` on, as a panel of tile_cols columns at `to`.
template <class T>
void fill_panel(const Factor<T>& b, Index column, Index begin, Index end, T* to) {
  constexpr Index width = tile_cols<T>;
  const Index count = std::min(width, b.cols - column);
  const T* from = b.at(begin, column);
  if (b.col_step == 1 && count == width) {
    for (Index k = begin; k < end; ++k, from += b.row_step, to += width) {
      store<T>(to, load<T>(from));
      store<T>(to + lanes<T>, load<T>(from + lanes<T>));
    }
    return;
  }
  for (Index k = begin; k < end; ++k, from += b.row_step, to += width)
    for (Index j = 0; j < width; ++j) to[j] = j < count ? from[j * b.col_step] : T{};
}

inline constexpr BrainPair no_pair{0, 0};
/// As many packs of pairs as a pack has pairs.
using PairSquare = std::array<PairPack, static_cast<std::size_t>(lanes<float>)>;

/// Two rows of at most tile_cols numbers as pairs; the second row may be null for zeros.
inline void pair_rows(const float* first, const float* second, Index count, BrainPair* to) {
  constexpr Index L = lanes<float>;
  for (Index j = 0; j < tile_cols<float>; j += L) {
    const Index some = std::clamp<Index>(count - j, 0, L);
    store(to + j, interleaved(load_first(first + j, some),
                              load_first((second == nullptr ? first : second) + j,
                                         second == nullptr ? 0 : some)));
  }
}

/// n <= 2 lanes numbers that lie beside each other as pairs, the last ones filled with zeros.
inline PairPack pairs_at(const float* from, Index n) {
  constexpr Index L = lanes<float>;
  if (n == 2 * L) return neighbours(load(from), load(from + L));
  return neighbours(load_first(from, std::min(n, L)),
                    load_first(from + L, std::max<Index>(n - L, 0)));
}

/// n numbers as pairs of neighbours, in whole packs, the last ones filled with zeros; and back.
inline void pair_numbers(const float* from, Index n, BrainPair* to) {
  constexpr Index L = lanes<float>;
  for (; n > 0; n -= 2 * L, from += 2 * L, to += L) store(to, pairs_at(from, std::min(n, 2 * L)));
}
inline void widen_numbers(const BrainPair* from, Index n, float* to) {
  constexpr Index L = lanes<float>;
  for (; n > 0; n -= 2 * L, from += L, to += 2 * L) {
    const auto [low, high] = widened(load(from));
    if (n >= 2 * L) {
      store(to, low);
      store(to + L, high);
    } else {
      store_part(to, low, std::min(n, L));
      store_part(to + L, high, std::max<Index>(n - L, 0));
    }
  }
}

/// The same as pairs of rows. begin is even.
inline void fill_panel(const Factor<float>& b, Index column, Index begin, Index end,
                       BrainPair* to) {
  constexpr Index width = tile_cols<float>, L = lanes<float>;
  const Index count = std::min(width, b.cols - column);
  if (b.col_step == 1) {
    for (Index k = begin; k < end; k += 2, to += width)
      pair_rows(b.at(k, column), k + 1 < end ? b.at(k + 1, column) : nullptr, count, to);
    return;
  }
  PairSquare square;
  for (Index k = begin; k < end; k += 2 * L, to += L * width) {
    const Index some = std::min(2 * L, end - k);
    for (Index first = 0; first < width; first += L) {
      for (Index j = 0; j < L; ++j)
        square[static_cast<std::size_t>(j)] =
            first + j < count ? pairs_at(b.at(k, column + first + j), some) : spread(no_pair);
      transpose(square);
      for (Index i = 0; 2 * i < some; ++i)
        store(to + i * width + first, square[static_cast<std::size_t>(i)]);
    }
  }
}

/// The rows of A for tiles, in elements of type Stored.
template <class T, class Stored>
struct LeftRows {
  /// Rows row..row+rows-1, columns k..k+depth-1, in elements.
  TileRows<T> operator()(const Factor<T>& a, Index row, Index, Index k, Index) const {
    return {a.at(row, k), a.row_step, a.col_step};
  }
};

/// Rows of A that are read at a time.
template <class T, class Stored>
inline constexpr Index left_rows = by_matrix_unit<T, Stored> ? unit_rows : tile_rows<T>;

/// As pairs, in memory of its own: in the order in which A lies, so that reading is fast, except
/// that the unit for matrices wants them by rows.
template <>
class LeftRows<float, BrainPair> {
 public:
  TileRows<BrainPair> operator()(const Factor<float>& a, Index row, Index rows, Index k,
                                 Index depth) {
    const Index begin = 2 * k, count = std::min(2 * depth, a.cols - begin);
    const Index step = (depth + L - 1) / L * L;
    if (a.col_step == 1) {
      for (Index i = 0; i < rows; ++i) pair_numbers(a.at(row + i, begin), count, at(i * step));
    } else if constexpr (has_matrix_unit) {
      PairSquare square;
      for (Index j = 0; j < depth; j += L)
        for (Index i = 0; i < rows; i += L) {
          for (Index n = 0; n < L; ++n)
            square[static_cast<std::size_t>(n)] =
                from_columns(a, row + i, std::min(L, rows - i), begin + 2 * (j + n), begin + count);
          transpose(square);
          for (Index n = 0; n < std::min(L, rows - i); ++n)
            store(at((i + n) * step + j), square[static_cast<std::size_t>(n)]);
        }
    } else {
      for (Index j = 0; j < depth; ++j)
        for (Index i = 0; i < rows; i += L)  // what is too much is written over
          store(at(j * R + i),
                from_columns(a, row + i, std::min(L, rows - i), begin + 2 * j, begin + count));
      return {pairs_.data(), 1, R};
    }
    return {pairs_.data(), step, 1};
  }

 private:
  static constexpr Index L = lanes<float>, R = left_rows<float, BrainPair>;
  static_assert(depth_block % L == 0);

  /// The pairs of columns k and k + 1 of an A that lies by columns; from `end` on there are zeros.
  static PairPack from_columns(const Factor<float>& a, Index row, Index rows, Index k, Index end) {
    const auto column = [&](Index j) {
      return load_first(a.at(row, std::min(j, end - 1)), j < end ? rows : 0);
    };
    return interleaved(column(k), column(k + 1));
  }
  BrainPair* at(Index i) { return pairs_.data() + i; }

  alignas(64) std::array<BrainPair, static_cast<std::size_t>(R* depth_block + L)> pairs_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel::detail
