// SPDX-License-Identifier: MIT
#pragma once

#include <Eigen/Core>  // Map

#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/kernel/matrix.hpp>  // Factor, Matrix

// The matrix product by Eigen, for builds without SIMD instructions. The only header that names
// Eigen, which takes seconds to compile.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

/// C (M, N) += A (M, K) B (K, N). On one thread.
template <class T>
void add_product(const Factor<T>& a, const Factor<T>& b, const Matrix<T>& c) {
  using Plain = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Steps = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
  const auto mapped = [](const Factor<T>& f) {
    return Eigen::Map<const Plain, Eigen::Unaligned, Steps>(f.data, f.rows, f.cols,
                                                            Steps(f.row_step, f.col_step));
  };
  Eigen::Map<Plain, Eigen::Unaligned, Eigen::OuterStride<>> result(c.data, c.rows, c.cols,
                                                                   Eigen::OuterStride<>(c.stride));
  result.noalias() += mapped(a) * mapped(b);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
