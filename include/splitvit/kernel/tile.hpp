// SPDX-License-Identifier: MIT
#pragma once

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

/// c (Rows, cols) = start + A (Rows, K) B (K, tile_cols), where b holds K rows of tile_cols
/// numbers each. `start` is null for zero, else (Rows, cols) numbers at start_stride; rows of
/// equal numbers (a bias) have stride 0. c and start may be the same.
template <Index Rows, class T>
void multiply_tile(Index K, const TileRows<T>& rows, const T* b, T* c, Index stride, Index cols,
                   const T* start, Index start_stride) {
  constexpr Index L = lanes<T>;
  Pack<T> sum[Rows][2];
  const bool whole = cols == 2 * L;
  const Index second = cols > L ? cols - L : 0;
  const Index first = cols > L ? L : cols;
  for (Index i = 0; i < Rows; ++i) {
    const T* from = start + i * start_stride;
    if (start == nullptr) {
      sum[i][0] = sum[i][1] = Pack<T>(T{});
    } else if (whole) {
      sum[i][0] = load<T>(from);
      sum[i][1] = load<T>(from + L);
    } else {
      sum[i][0] = load_part<T>(from, first, T{});
      sum[i][1] = load_part<T>(from + first, second, T{});
    }
  }
  const T* a = rows.a;
  for (Index k = 0; k < K; ++k) {
    const Pack<T> b0 = load<T>(b);
    const Pack<T> b1 = load<T>(b + L);
    for (Index i = 0; i < Rows; ++i) {
      const Pack<T> factor(a[i * rows.row_step]);
      sum[i][0] = multiply_add(factor, b0, sum[i][0]);
      sum[i][1] = multiply_add(factor, b1, sum[i][1]);
    }
    a += rows.col_step;
    b += 2 * L;
  }
  for (Index i = 0; i < Rows; ++i) {
    T* to = c + i * stride;
    if (whole) {
      store<T>(to, sum[i][0]);
      store<T>(to + L, sum[i][1]);
    } else {
      store_part<T>(to, sum[i][0], first);
      store_part<T>(to + first, sum[i][1], second);
    }
  }
}

namespace detail {

/// The same for a number of rows that is known only at run time, 1..Rows.
template <Index Rows, class T>
void multiply_short_tile(Index count, Index K, const TileRows<T>& rows, const T* b, T* c,
                         Index stride, Index cols, const T* start, Index start_stride) {
  if (count == Rows)
    multiply_tile<Rows>(K, rows, b, c, stride, cols, start, start_stride);
  else if constexpr (Rows > 1)
    multiply_short_tile<Rows - 1>(count, K, rows, b, c, stride, cols, start, start_stride);
}

}  // namespace detail

}  // namespace splitvit::kernel
