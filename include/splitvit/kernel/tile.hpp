// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min
#include <array>      // array
#include <cstddef>    // size_t
#include <utility>    // index_sequence

#include <splitvit/core/shape.hpp>   // Index
#include <splitvit/kernel/simd.hpp>  // Pack

// The innermost loop of all products: a small tile of C that stays in registers.

namespace splitvit::kernel {

/// Rows and columns of a tile. Two packs wide; as tall as the registers allow (32 of 64 bytes,
/// or 16 smaller ones), two being kept for a row of B and one for a number of A.
template <class T>
inline constexpr Index tile_rows = sizeof(Pack<T>) >= 64 ? 12 : 6;
template <class T>
inline constexpr Index tile_cols = 2 * lanes<T>;

/// Where a tile reads A: element (i, k) is at a[i * row_step + k * col_step].
template <class T>
struct TileRows {
  const T* a;
  Index row_step;
  Index col_step;
};

/// Where a tile puts its result: C = bias + A B, or C += A B.
template <class T>
struct TileResult {
  T* c;
  Index stride;
  Index cols;     ///< 1..tile_cols
  const T* bias;  ///< cols numbers, or null for zeros; with add unused
  bool add;
};

namespace detail {

/// The sums of a tile. Every access names its place at compile time, or compilers keep the
/// sums in memory instead of registers.
template <Index Rows, class T, class = std::make_index_sequence<static_cast<std::size_t>(Rows)>>
struct TileSums;

template <Index Rows, class T, std::size_t... I>
struct TileSums<Rows, T, std::index_sequence<I...>> {
  static constexpr Index L = lanes<T>;
  std::array<Pack<T>, sizeof...(I)> left, right;

  void begin(const TileResult<T>& to) {
    Pack<T> first(T{}), second(T{});
    // C is written when all is summed: until then its lines can travel.
    (prefetch(row(to.c, to.stride, I)), ...);
    (prefetch(row(to.c, to.stride, I) + L), ...);
    const T* const bias = to.add ? nullptr : to.bias;
    if (bias != nullptr && to.cols == 2 * L) {
      first = load<T>(bias);
      second = load<T>(bias + L);
    } else if (bias != nullptr) {
      first = load_part<T>(bias, std::min(L, to.cols), T{});
      second = load_part<T>(bias + L, to.cols - L, T{});
    }
    ((left[I] = first, right[I] = second), ...);
  }

  /// Adds column k of A times row k of B, for all k < K. Three rows of A share a pointer: there
  /// are not registers enough for one each.
  void accumulate(Index K, const TileRows<T>& rows, const T* b) {
    // Copies that nothing else can see: compilers keep these in registers.
    auto sum0 = left, sum1 = right;
    const Index step = rows.row_step, next = rows.col_step;
    std::array<const T*, (sizeof...(I) + 2) / 3> a{};
    ((a[I / 3] = rows.a + static_cast<Index>(I / 3 * 3) * step), ...);
    for (Index k = 0; k < K; ++k) {
      const Pack<T> b0 = load<T>(b);
      const Pack<T> b1 = load<T>(b + L);
      const auto add_row = [&](std::size_t i, const Pack<T>& factor) {
        sum0[i] = multiply_add(factor, b0, sum0[i]);
        sum1[i] = multiply_add(factor, b1, sum1[i]);
      };
      (add_row(I, Pack<T>(a[I / 3][static_cast<Index>(I % 3) * step])), ...);
      ((I % 3 == 0 ? a[I / 3] += next : nullptr), ...);
      b += 2 * L;
    }
    left = sum0;
    right = sum1;
  }

  void finish(const TileResult<T>& to) const {
    if (to.cols == 2 * L) {
      (put(row(to.c, to.stride, I), left[I], to.add), ...);
      (put(row(to.c, to.stride, I) + L, right[I], to.add), ...);
    } else {
      (put_part(row(to.c, to.stride, I), left[I], std::min(L, to.cols), to.add), ...);
      (put_part(row(to.c, to.stride, I) + L, right[I], to.cols - L, to.add), ...);
    }
  }

 private:
  template <class U>
  static U* row(U* first, Index stride, std::size_t i) {
    return first + static_cast<Index>(i) * stride;
  }
  static void put(T* to, const Pack<T>& sum, bool add) {
    store<T>(to, add ? load<T>(to) + sum : sum);
  }
  static void put_part(T* to, const Pack<T>& sum, Index count, bool add) {
    if (count <= 0) return;
    store_part<T>(to, add ? load_part<T>(to, count, T{}) + sum : sum, count);
  }
};

}  // namespace detail

/// C (Rows, cols) = bias + A (Rows, K) B (K, tile_cols), or C += A B, where b holds K rows of
/// tile_cols numbers each.
template <Index Rows, class T>
void multiply_tile(Index K, const TileRows<T>& rows, const T* b, const TileResult<T>& to) {
  detail::TileSums<Rows, T> sums;
  sums.begin(to);
  sums.accumulate(K, rows, b);
  sums.finish(to);
}

namespace detail {

/// The height of the tiles that fill what tiles of `rows` rows leave. A ViT has a square number
/// of tokens and one: 65, 197 and 257 are multiples of 12, and 5.
constexpr Index lower_tile(Index rows) { return rows > 8 ? 8 : rows > 5 ? 5 : rows > 3 ? 3 : 1; }

/// The same for any number of rows, in tiles: the tallest first.
template <Index Rows, class T>
void multiply_rows(Index rows, Index K, TileRows<T> a, const T* b, TileResult<T> to) {
  for (; rows >= Rows; rows -= Rows) {
    multiply_tile<Rows>(K, a, b, to);
    a.a += Rows * a.row_step;
    to.c += Rows * to.stride;
  }
  if constexpr (Rows > 1)
    if (rows > 0) multiply_rows<lower_tile(Rows)>(rows, K, a, b, to);
}

}  // namespace detail

}  // namespace splitvit::kernel
