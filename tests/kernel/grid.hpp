// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>   // isnan
#include <limits>  // numeric_limits
#include <vector>  // vector

#include <splitvit/kernel/matrix.hpp>  // Matrix, Factor

#include "support/numbers.hpp"  // drawn_vector, at

// Matrices for tests of products, and the product by three plain loops.

namespace splitvit::test {

/// Drawn numbers in rows that may lie further apart than they are long. Between and behind is NaN:
/// whoever reads it cannot hide it, and whoever writes over it is found out.
template <class T>
struct Grid {
  Index rows, cols, stride;
  std::vector<T> numbers;

  Grid(Index rows_, Index cols_, Index gap, Rng& rng)
      : rows{rows_},
        cols{cols_},
        stride{cols_ + gap},
        numbers(at(rows_ * (cols_ + gap) + 1), std::numeric_limits<T>::quiet_NaN()) {
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < cols; ++j) (*this)(i, j) = static_cast<T>(rng.normal());
  }

  T& operator()(Index i, Index j) { return numbers[at(i * stride + j)]; }
  kernel::Matrix<T> matrix() { return {numbers.data(), rows, cols, stride}; }
  kernel::Matrix<const T> matrix() const { return {numbers.data(), rows, cols, stride}; }

  /// Without what lies between the rows and behind them.
  std::vector<T> packed() const {
    std::vector<T> out;
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < cols; ++j) out.push_back(numbers[at(i * stride + j)]);
    return out;
  }
  bool gaps_untouched() const {
    for (Index i = 0; i < rows; ++i)
      for (Index j = cols; j < stride; ++j)
        if (!std::isnan(numbers[at(i * stride + j)])) return false;
    return std::isnan(numbers.back());
  }
};

/// start + a b, in double; no `start` is zero.
template <class T>
std::vector<double> plain_product(const kernel::Factor<T>& a, const kernel::Factor<T>& b,
                                  std::vector<double> start = {}) {
  std::vector<double> c = std::move(start);
  c.resize(at(a.rows * b.cols));
  for (Index i = 0; i < a.rows; ++i)
    for (Index j = 0; j < b.cols; ++j)
      for (Index k = 0; k < a.cols; ++k)
        c[at(i * b.cols + j)] +=
            static_cast<double>(*a.at(i, k)) * static_cast<double>(*b.at(k, j));
  return c;
}

/// How far a product of normal numbers with so many terms may be off, as apart() counts it.
template <class T>
double product_tolerance(Index terms) {
  return 2 * unit<T> * static_cast<double>(terms + 4);
}

}  // namespace splitvit::test
