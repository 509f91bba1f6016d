// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max_element, stable_sort, transform
#include <cmath>      // abs
#include <numeric>    // iota

#include <Eigen/Eigenvalues>  // SelfAdjointEigenSolver

#include <splitvit/core/shape.hpp>  // Index

namespace splitvit::inline SPLITVIT_BUILD::kernel {

/// a = vectors^T diag(values) vectors, for a symmetric a (n, n) of finite numbers: values
/// descending, one vector of length 1 a row. Of each vector the largest number, the first of
/// several, is positive. By Eigen, which takes seconds to compile.
template <std::floating_point T>
void symmetric_eigen(const T* a, Index n, T* values, T* vectors) {
  if (n == 0) return;
  using Square = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
  const Eigen::SelfAdjointEigenSolver<Square> found{Eigen::Map<const Square>(a, n, n)};
  std::vector<Index> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(), [&](Index i, Index j) {
    return found.eigenvalues()[i] > found.eigenvalues()[j];
  });
  for (const Index i : order) {
    *values++ = found.eigenvalues()[i];
    const T* const from = found.eigenvectors().data() + i * n;  // a column
    const T largest =
        *std::max_element(from, from + n, [](T x, T y) { return std::abs(x) < std::abs(y); });
    vectors =
        std::transform(from, from + n, vectors, [largest](T x) { return largest < T{0} ? -x : x; });
  }
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
