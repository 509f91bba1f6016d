// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/shape.hpp>      // Index
#include <splitvit/core/workspace.hpp>  // Memory

namespace splitvit::inline SPLITVIT_BUILD::kernel {

/// A matrix in the caller's memory. There may be gaps between rows.
template <class T>
struct Matrix {
  T* data = nullptr;
  Index rows = 0;
  Index cols = 0;
  Index stride = 0;  ///< numbers from one row to the next

  operator Matrix<const T>() const { return {data, rows, cols, stride}; }
  T* row(Index i) const { return data + i * stride; }
  /// Rows, and columns, begin..end-1.
  Matrix slice(Index begin, Index end) const { return {row(begin), end - begin, cols, stride}; }
  Matrix columns(Index begin, Index end) const { return {data + begin, rows, end - begin, stride}; }
};

/// A matrix without gaps between rows.
template <class T>
Matrix<T> dense(T* data, Index rows, Index cols) {
  return {data, rows, cols, cols};
}

/// One factor of a product: a matrix as it is, or its transpose.
template <class T>
struct Factor {
  const T* data = nullptr;
  Index rows = 0;
  Index cols = 0;
  Index row_step = 0;
  Index col_step = 1;

  Factor(const Matrix<const T>& m) : Factor{m.data, m.rows, m.cols, m.stride, 1} {}
  Factor(const Matrix<T>& m) : Factor{m.data, m.rows, m.cols, m.stride, 1} {}
  Factor(const T* data_, Index rows_, Index cols_, Index row_step_, Index col_step_)
      : data{data_}, rows{rows_}, cols{cols_}, row_step{row_step_}, col_step{col_step_} {}

  const T* at(Index i, Index j) const { return data + i * row_step + j * col_step; }
};

/// The transpose of a matrix, without a copy.
template <class T>
Factor<std::remove_const_t<T>> transposed(const Matrix<T>& m) {
  return {m.data, m.cols, m.rows, 1, m.stride};
}

/// Aligned memory from the workspace in use. It grows on request and is not initialised.
template <class T>
class Scratch {
 public:
  Scratch() = default;
  explicit Scratch(Index count) { room(count); }

  T* room(Index count) {
    if (count > size_) {
      data_ = Memory<T>{};
      data_ = Memory<T>{static_cast<std::size_t>(count)};
      size_ = count;
    }
    return data_.data();
  }
  T* data() const { return data_.data(); }

 private:
  Memory<T> data_;
  Index size_ = 0;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
