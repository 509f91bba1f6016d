// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min

#include <splitvit/core/shape.hpp>  // Index

// Rows become columns, in tiles that stay in the nearest cache.

namespace splitvit::codec::detail {

/// to[c * to_stride + r] = from[r * from_stride + c] for r < rows and c < columns.
template <class T>
void transpose(const T* from, Index from_stride, Index rows, Index columns, T* to,
               Index to_stride) {
  constexpr Index tile = 16;
  for (Index r = 0; r < rows; r += tile)
    for (Index c = 0; c < columns; c += tile)
      for (Index j = c; j < std::min(columns, c + tile); ++j)
        for (Index i = r; i < std::min(rows, r + tile); ++i)
          to[j * to_stride + i] = from[i * from_stride + j];
}

}  // namespace splitvit::codec::detail
