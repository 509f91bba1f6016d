// SPDX-License-Identifier: MIT
#pragma once

#include <Eigen/Core>  // Map

#include <splitvit/core/shape.hpp>  // Index

// Matrix products on one thread. The only header that names Eigen.

namespace splitvit::kernel {

/// A row-major matrix in somebody's memory; rows may lie further apart than they are long.
template <class T>
struct Matrix {
  T* data = nullptr;
  Index rows = 0;
  Index cols = 0;
  Index stride = 0;  ///< from one row to the next

  operator Matrix<const T>() const { return {data, rows, cols, stride}; }
  /// Rows begin..end-1.
  Matrix slice(Index begin, Index end) const {
    return {data + begin * stride, end - begin, cols, stride};
  }
  T* row(Index i) const { return data + i * stride; }
};

/// Whether a product replaces what is in its result, or is added to it.
enum class Into { replace, add };

namespace detail {

template <class T>
auto as_eigen(const Matrix<T>& m) {
  using Plain =
      Eigen::Matrix<std::remove_const_t<T>, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Mapped = std::conditional_t<std::is_const_v<T>, const Plain, Plain>;
  return Eigen::Map<Mapped, Eigen::Unaligned, Eigen::OuterStride<>>(m.data, m.rows, m.cols,
                                                                    Eigen::OuterStride<>(m.stride));
}

template <class T, class Product>
void put(const Matrix<T>& c, Into into, const Product& product) {
  auto result = as_eigen(c);
  if (into == Into::add)
    result.noalias() += product;
  else
    result.noalias() = product;
}

}  // namespace detail

/// C (M, N) = A (M, K) B (K, N)
template <class T>
void multiply(const Matrix<const T>& a, const Matrix<const T>& b, const Matrix<T>& c,
              Into into = Into::replace) {
  detail::put(c, into, detail::as_eigen(a) * detail::as_eigen(b));
}

/// C (M, N) = A (M, K) B^T, where B is (N, K)
template <class T>
void multiply_by_transposed(const Matrix<const T>& a, const Matrix<const T>& b, const Matrix<T>& c,
                            Into into = Into::replace) {
  detail::put(c, into, detail::as_eigen(a) * detail::as_eigen(b).transpose());
}

/// C (M, N) = A^T B (K, N), where A is (K, M)
template <class T>
void multiply_transposed(const Matrix<const T>& a, const Matrix<const T>& b, const Matrix<T>& c,
                         Into into = Into::replace) {
  detail::put(c, into, detail::as_eigen(a).transpose() * detail::as_eigen(b));
}

}  // namespace splitvit::kernel
