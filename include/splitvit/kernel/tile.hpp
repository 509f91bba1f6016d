// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n

#include <splitvit/core/shape.hpp>         // Index
#include <splitvit/kernel/brain_pair.hpp>  // load, multiply_add_at, multiply_add_in_place, spread
#include <splitvit/kernel/simd.hpp>        // the same for numbers, Pack, prefetch, store

// The innermost loop of all products: a small tile of C that stays in registers.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

/// Rows and columns of a tile. Two packs wide; as tall as the registers allow (32 of 64 bytes,
/// or 16 smaller ones), two being kept for a row of B and one for a number of A.
template <class T>
inline constexpr Index tile_rows = sizeof(Pack<T>) >= 64 ? 12 : 6;
template <class T>
inline constexpr Index tile_cols = 2 * lanes<T>;

/// The rows of A that a tile reads: (i, k) is at a[i * row_step + k * col_step]; one step is 1. An
/// element is a T, or a pair of numbers; a row of A and a column of B have K elements.
template <class Stored>
struct TileRows {
  const Stored* a;
  Index row_step;
  Index col_step;
};

/// The part of C that a tile writes: C = bias + A B, or C += A B.
template <class T>
struct TileResult {
  T* c;
  Index stride;
  Index cols;     ///< 1..tile_cols
  const T* bias;  ///< cols numbers, or null for zeros; with add unused
  bool add;
};

namespace detail {
template <Index Height, class T, class Stored,
          class = std::make_index_sequence<static_cast<std::size_t>(Height)>>
struct Tile;
template <Index Height, class T, class Stored, std::size_t... I>
struct Tile<Height, T, Stored, std::index_sequence<I...>> {
  static constexpr Index L = lanes<T>;

  static void multiply(Index K, const TileRows<Stored>& rows, const Stored* b,
                       const TileResult<T>& to) {
    if (to.cols == 2 * L) return multiply_whole(K, rows, b, to);
    std::array<T, sizeof...(I) * 2 * L> sums;
    std::array<T, 2 * static_cast<std::size_t>(L)> bias{};
    if (to.bias != nullptr && !to.add) std::copy_n(to.bias, to.cols, bias.begin());
    multiply_whole(K, rows, b, {sums.data(), 2 * L, 2 * L, bias.data(), false});
    const T* from = sums.data();
    T* c = to.c;
    for (Index i = 0; i < Height; ++i, c += to.stride, from += 2 * L)
      for (Index j = 0; j < to.cols; ++j) c[j] = to.add ? c[j] + from[j] : from[j];
  }

 private:
  /// A is read by rows. Three rows share a pointer: there are too few registers for one each.
  struct RowMajor {
    explicit RowMajor(const TileRows<Stored>& rows) : step{rows.row_step} {
      ((first[I / 3] = opaque(rows.a + static_cast<Index>(I / 3 * 3) * step)), ...);
    }
    const Stored* at(std::size_t i, Index k) const {
      return first[i / 3] + static_cast<Index>(i % 3) * step + k;
    }
    void advance(Index columns) { ((I % 3 == 0 ? first[I / 3] += columns : nullptr), ...); }

    const Stored* first[(sizeof...(I) + 2) / 3];
    Index step;
  };

  /// A is read by columns, as in a transposed matrix.
  struct ColumnMajor {
    explicit ColumnMajor(const TileRows<Stored>& rows) : first{rows.a}, step{rows.col_step} {}
    const Stored* at(std::size_t i, Index k) const {
      return first + k * step + static_cast<Index>(i);
    }
    void advance(Index columns) { first += columns * step; }

    const Stored* first;
    Index step;
  };

  /// The product for a tile with all its columns.
  static void multiply_whole(Index K, const TileRows<Stored>& rows, const Stored* b,
                             const TileResult<T>& to) {
    if (rows.col_step == 1)
      multiply_from<RowMajor>(K, rows, b, to);
    else
      multiply_from<ColumnMajor>(K, rows, b, to);
  }

  /// Four columns of A and rows of B at a time: a shared core decodes two instructions a cycle, and
  /// the multiply-adds need both, so all other instructions cost time.
  template <class Where>
  static void multiply_from(Index K, const TileRows<Stored>& rows, const Stored* b,
                            const TileResult<T>& to) {
    Where a{rows};
    // Indices of sums are constants, and no other function gets the sums; otherwise compilers keep
    // them in memory instead of registers. Not std::array, of which all tiles call operator[] 1,600
    // times, each of them inlined.
    Pack<T> left[sizeof...(I)], right[sizeof...(I)];
    const bool has_bias = to.bias != nullptr && !to.add;
    const Pack<T> first = has_bias ? load<T>(to.bias) : Pack<T>(T{});
    const Pack<T> second = has_bias ? load<T>(to.bias + L) : Pack<T>(T{});
    ((left[I] = first, right[I] = second), ...);
    // Prefetches what the sums are added to at the end.
    if (to.add) ((prefetch(row(to, I)), prefetch(row(to, I) + L)), ...);

    const auto add_row = [&](auto i, const Stored* factor, const auto& b0, const auto& b1)
                             __attribute__((always_inline)) {
                               // Every third row is read by the multiply-adds themselves, twice:
                               // more would keep the units that read memory too busy.
                               constexpr std::size_t n = i;
                               if constexpr (n % 3 == 0) {
                                 left[n] = multiply_add_at(factor, b0, left[n]);
                                 right[n] = multiply_add_at(factor, b1, right[n]);
                               } else {
                                 const auto number = spread(*factor);
                                 left[n] = multiply_add_in_place(number, b0, left[n]);
                                 right[n] = multiply_add_in_place(number, b1, right[n]);
                               }
                             };
    const auto add_column = [&](Index j) __attribute__((always_inline)) {
      const auto b0 = load(b + j * 2 * L), b1 = load(b + j * 2 * L + L);
      (add_row(std::integral_constant<std::size_t, I>{}, a.at(I, j), b0, b1), ...);
    };
    for (Index k = K / 4; k > 0; --k, b += 4 * 2 * L) {
      add_column(0);
      add_column(1);
      add_column(2);
      add_column(3);
      a.advance(4);
    }
    for (Index k = K % 4; k > 0; --k, b += 2 * L) {
      add_column(0);
      a.advance(1);
    }

    if (to.add) {
      (store<T>(row(to, I), load<T>(row(to, I)) + left[I]), ...);
      (store<T>(row(to, I) + L, load<T>(row(to, I) + L) + right[I]), ...);
    } else {
      (store<T>(row(to, I), left[I]), ...);
      (store<T>(row(to, I) + L, right[I]), ...);
    }
  }

  static T* row(const TileResult<T>& to, std::size_t i) {
    return to.c + static_cast<Index>(i) * to.stride;
  }
};

/// The height of the tiles for the rows that remain after tiles of `rows` rows. A ViT has a square
/// number of tokens plus one: 65, 197 and 257 are multiples of 12 plus 5.
constexpr Index lower_tile(Index rows) { return rows > 8 ? 8 : rows > 5 ? 5 : rows > 3 ? 3 : 1; }
}  // namespace detail

/// C (rows, cols) = bias + A (rows, K) B (K, tile_cols), or C += A B, where b holds K rows of
/// tile_cols elements each. Tiles have `Rows` rows; the last ones have fewer.
template <Index Rows, class T, class Stored>
void multiply_rows(Index rows, Index K, TileRows<Stored> a, const Stored* b, TileResult<T> to) {
  for (; rows >= Rows; rows -= Rows) {
    detail::Tile<Rows, T, Stored>::multiply(K, a, b, to);
    a.a += Rows * a.row_step;
    to.c += Rows * to.stride;
  }
  if constexpr (Rows > 1)
    if (rows > 0) multiply_rows<detail::lower_tile(Rows)>(rows, K, a, b, to);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
