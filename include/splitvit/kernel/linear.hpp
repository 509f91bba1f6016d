// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, copy_n, fill_n
#include <vector>     // vector

#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/kernel/gemm.hpp>    // products
#include <splitvit/kernel/simd.hpp>    // transform

// A linear layer over many rows, both directions. M rows, K inputs, N outputs.

namespace splitvit::kernel {

namespace detail {

/// Rows that one thread takes at a time: enough to repay reading the weights, few enough to
/// share among threads. Depends on the size of the problem alone.
inline Index row_block(Index rows) { return std::clamp<Index>((rows / 8 + 15) / 16 * 16, 64, 512); }

/// sum_i += part_i over n numbers.
template <class T>
void add_numbers(T* sum, const T* part, Index n) {
  transform<T>(
      n, sum, [](const auto& a, const auto& b) { return a + b; }, sum, part);
}

/// Adds `parts` arrays of n numbers, one after the other in memory, pairwise into the first.
template <class T>
void add_pairwise(T* arrays, Index parts, Index n) {
  for (Index stride = 1; stride < parts; stride *= 2)
    for (Index i = 0; i + stride < parts; i += 2 * stride)
      add_numbers(arrays + i * n, arrays + (i + stride) * n, n);
}

}  // namespace detail

/// out (N) += the sums of the columns of x (M, N), in a fixed order.
template <class T>
void add_column_sums(const Matrix<const T>& x, T* out) {
  constexpr Index rows_a_part = 256;
  const Index parts = (x.rows + rows_a_part - 1) / rows_a_part;
  if (parts == 0) return;
  std::vector<T> sums(static_cast<std::size_t>(parts * x.cols), T{});
  parallel_for(x.rows, rows_a_part, [&](Index begin, Index end) {
    T* sum = sums.data() + begin / rows_a_part * x.cols;
    for (Index i = begin; i < end; ++i) detail::add_numbers(sum, x.row(i), x.cols);
  });
  detail::add_pairwise(sums.data(), parts, x.cols);
  detail::add_numbers(out, sums.data(), x.cols);
}

/// y (M, N) = x (M, K) w^T + bias, with w (N, K) and bias (N) or null.
template <class T>
void linear_forward(const Matrix<const T>& x, const Matrix<const T>& w, const T* bias,
                    const Matrix<T>& y) {
  parallel_for(x.rows, detail::row_block(x.rows), [&](Index begin, Index end) {
    if (bias != nullptr)
      for (Index i = begin; i < end; ++i) std::copy_n(bias, y.cols, y.row(i));
    multiply_by_transposed<T>(x.slice(begin, end), w, y.slice(begin, end),
                              bias != nullptr ? Into::add : Into::replace);
  });
}

/// dx (M, K) = dy (M, N) w
template <class T>
void linear_input_gradient(const Matrix<const T>& dy, const Matrix<const T>& w,
                           const Matrix<T>& dx) {
  parallel_for(dy.rows, detail::row_block(dy.rows), [&](Index begin, Index end) {
    multiply<T>(dy.slice(begin, end), w, dx.slice(begin, end));
  });
}

/// dw (N, K) = dy^T x. Long sums are cut into parts by the number of rows alone, and the
/// parts are added pairwise.
template <class T>
void linear_weight_gradient(const Matrix<const T>& dy, const Matrix<const T>& x,
                            const Matrix<T>& dw) {
  const Index parts = std::clamp<Index>(x.rows / 2048, 1, 4);
  const Index rows_a_part = (x.rows + parts - 1) / parts;
  const Index outputs_a_task = parts == 1 ? 64 : 192;
  const Index tasks_a_part = (dw.rows + outputs_a_task - 1) / outputs_a_task;
  const Index size = dw.rows * dw.cols;
  std::vector<T> sums(static_cast<std::size_t>((parts - 1) * size));  // the first part is dw itself
  parallel_for(parts * tasks_a_part, 1, [&](Index task, Index) {
    const Index part = task / tasks_a_part;
    const Index first = task % tasks_a_part * outputs_a_task;
    const Index count = std::min(outputs_a_task, dw.rows - first);
    const Index begin = part * rows_a_part;
    const Index end = std::min(x.rows, begin + rows_a_part);
    const Matrix<T> whole =
        part == 0 ? dw : Matrix<T>{sums.data() + (part - 1) * size, dw.rows, dw.cols, dw.cols};
    const Matrix<const T> some_dy{dy.data + begin * dy.stride + first, end - begin, count,
                                  dy.stride};
    multiply_transposed<T>(some_dy, x.slice(begin, end), whole.slice(first, first + count));
  });
  parallel_for(size, Index{1} << 14, [&](Index begin, Index end) {
    for (Index part = 1; part < parts; ++part)
      detail::add_numbers(dw.data + begin, sums.data() + (part - 1) * size + begin, end - begin);
  });
}

}  // namespace splitvit::kernel
