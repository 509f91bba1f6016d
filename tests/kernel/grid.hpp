// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>   // isnan
#include <limits>  // numeric_limits
#include <vector>  // vector

#include <splitvit/kernel/brain_pair.hpp>  // add_pair, BrainPair, brain_bits
#include <splitvit/kernel/matrix.hpp>      // Matrix, Factor

#include "support/numbers.hpp"  // drawn_vector, at

// Matrices for tests of products, and the product by three plain loops.

namespace splitvit::test {

/// The type of the numbers of a product whose factors are stored as Stored.
template <class Stored>
using NumberOf = std::conditional_t<std::same_as<Stored, kernel::BrainPair>, float, Stored>;

inline float to_brain(float x) { return kernel::brain_value(kernel::brain_bits(x)); }

/// Rounds numbers to those that Stored can hold, so that a product's sums alone have errors.
template <class Stored, class T>
std::vector<T> storable(std::vector<T> x) {
  if constexpr (std::same_as<Stored, kernel::BrainPair>)
    for (T& v : x) v = to_brain(v);
  return x;
}

/// Drawn numbers in rows that may lie further apart than they are long. Between and behind is NaN:
/// whoever reads it cannot hide it, and whoever writes over it is found out.
template <class T, class Stored = T>
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
    numbers = storable<Stored>(std::move(numbers));
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

/// sum + the products of up to 16 pairs, as the unit for matrices adds them.
inline float add_pairs(const std::vector<kernel::BrainPair>& a,
                       const std::vector<kernel::BrainPair>& b, float sum) {
  using kernel::detail::without_denormal;
  float first = 0, second = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    first = kernel::add_pair({a[i].first, 0}, {b[i].first, 0}, first);
    second = kernel::add_pair({0, a[i].second}, {0, b[i].second}, second);
  }
  return without_denormal(without_denormal(sum) + without_denormal(first + second));
}

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
