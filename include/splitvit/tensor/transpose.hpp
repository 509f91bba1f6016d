// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min

#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/tensor/tensor.hpp>  // Tensor

namespace splitvit::inline SPLITVIT_BUILD {

/// to[c * to_stride + r] = from[r * from_stride + c], in tiles that stay in the nearest cache.
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

/// The transpose (columns, rows) of a matrix (rows, columns).
template <class T>
Tensor<T> transposed(const T* from, Index rows, Index columns) {
  Tensor<T> out = Tensor<T>::uninitialised({columns, rows});
  parallel_for(rows, 64, [&](Index begin, Index end) {
    transpose(from + begin * columns, columns, end - begin, columns, out.data() + begin, rows);
  });
  return out;
}

}  // namespace splitvit::inline SPLITVIT_BUILD
