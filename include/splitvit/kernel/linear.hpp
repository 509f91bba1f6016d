// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min

#include <splitvit/core/parallel.hpp>      // parallel_for
#include <splitvit/kernel/gemm.hpp>        // multiply, Packed
#include <splitvit/kernel/vector_ops.hpp>  // add_numbers, add_rows

namespace splitvit::inline SPLITVIT_BUILD::kernel {

namespace detail {
/// Rows that one thread takes at a time: a multiple of all tile heights.
inline constexpr Index row_block = 96;

/// The sum (n) of what body(begin, end, sum) adds to zeros for each block of rows, pairwise.
template <class T, class Body>
RecycledVector<T> sum_over_blocks(Index rows, Index block, Index n, const Body& body) {
  const Index parts = (rows + block - 1) / block;
  RecycledVector<T> sums(static_cast<std::size_t>(std::max<Index>(parts, 1) * n), T{});
  parallel_for(rows, block,
               [&](Index begin, Index end) { body(begin, end, sums.data() + begin / block * n); });
  for (Index stride = 1; stride < parts; stride *= 2)
    for (Index i = 0; i + stride < parts; i += 2 * stride)
      add_numbers(sums.data() + i * n, sums.data() + (i + stride) * n, n);
  return sums;
}

/// sum (n) += each of `parts` arrays of n numbers, one after the other; on several threads.
template <class T>
void add_parts(T* sum, const T* arrays, Index parts, Index n) {
  if (parts == 0) return;
  parallel_for(n, Index{1} << 14, [&](Index begin, Index end) {
    for (Index part = 0; part < parts; ++part)
      add_numbers(sum + begin, arrays + part * n + begin, end - begin);
  });
}
}  // namespace detail

/// out (N) += the sums of the columns of x (M, N), in a fixed order.
template <class T>
void add_column_sums(const Matrix<const T>& x, T* out) {
  const auto sums =
      detail::sum_over_blocks<T>(x.rows, 256, x.cols, [&](Index begin, Index end, T* sum) {
        add_rows(sum, x.row(begin), end - begin, x.cols, x.stride);
      });
  add_numbers(out, sums.data(), x.cols);
}

/// A linear layer: y (M, N) = x (M, K) w^T + bias, with w (N, K) and bias (N) or null. Stored is
/// the type of the factors in the products, here and below (gemm.hpp).
template <class T, class Stored = T>
void linear_forward(const Matrix<const T>& x, const Matrix<const T>& w, const T* bias,
                    const Matrix<T>& y) {
  Packed<T, Stored> packed;
  packed.pack_in_parallel(transposed(w));
  parallel_for(x.rows, detail::row_block, [&](Index begin, Index end) {
    multiply<T>(x.slice(begin, end), packed, y.slice(begin, end), Into::replace, bias);
  });
}

/// dx (M, K) = dy (M, N) w
template <class T, class Stored = T>
void linear_input_gradient(const Matrix<const T>& dy, const Matrix<const T>& w,
                           const Matrix<T>& dx) {
  Packed<T, Stored> packed;
  packed.pack_in_parallel(w);
  parallel_for(dy.rows, detail::row_block, [&](Index begin, Index end) {
    multiply<T>(dy.slice(begin, end), packed, dx.slice(begin, end));
  });
}

/// dw (N, K) = dy^T x. A long sum is cut into parts, which depend on the number of rows alone and
/// are added in order.
template <class T, class Stored = T>
void linear_weight_gradient(const Matrix<const T>& dy, const Matrix<const T>& x,
                            const Matrix<T>& dw) {
  const Index parts = x.rows >= 2048 ? 4 : x.rows >= 512 ? 2 : 1;
  const Index rows_a_part = (x.rows + parts - 1) / parts;
  const Index outputs_a_task = parts == 4 ? 384 : 96;
  const Index tasks_a_part = (dw.rows + outputs_a_task - 1) / outputs_a_task;
  const Index size = dw.rows * dw.cols;
  Scratch<T> memory;  // of all parts except the first, which is dw
  T* sums = memory.room((parts - 1) * size);
  parallel_for(parts * tasks_a_part, 1, [&](Index task, Index) {
    const Index part = task / tasks_a_part;
    const Index first = task % tasks_a_part * outputs_a_task;
    const Index last = std::min(first + outputs_a_task, dw.rows);
    const Index begin = std::min(x.rows, part * rows_a_part);
    const Index end = std::min(x.rows, begin + rows_a_part);
    const Matrix<T> sum = part == 0 ? dw : dense(sums + (part - 1) * size, dw.rows, dw.cols);
    Packed<T, Stored> packed;
    multiply_long<T>(dy.slice(begin, end).columns(first, last), x.slice(begin, end),
                     sum.slice(first, last), Into::replace, packed);
  });
  detail::add_parts(dw.data, sums, parts - 1, size);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
