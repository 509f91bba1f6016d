// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max
#include <cmath>      // ldexp, log

#include <splitvit/core/parallel.hpp>  // parallel_reduce
#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/kernel/simd.hpp>    // accumulate, largest, multiply_add, Pack, transform

namespace splitvit::inline SPLITVIT_BUILD::kernel {

/// The sum of a_i b_i over n numbers.
template <class T>
T dot(const T* a, const T* b, Index n) {
  return accumulate<T>(n, [](const auto& x, const auto& y) { return x * y; }, a, b);
}

/// y = factor x
template <class T>
void scale_numbers(const T* x, T factor, T* y, Index n) {
  transform<T>(n, y, [factor](const auto& v) { return v * Pack<T>(factor); }, x);
}

/// sum += x
template <class T>
void add_numbers(T* sum, const T* x, Index n) {
  transform<T>(n, sum, [](const auto& a, const auto& b) { return a + b; }, sum, x);
}

/// sum (cols) += each of `rows` rows of x, one after the other; four at a time, so that the sum is
/// read and written less often.
template <class T>
void add_rows(T* sum, const T* x, Index rows, Index cols, Index stride) {
  Index i = 0;
  for (; i + 4 <= rows; i += 4, x += 4 * stride)
    transform<T>(
        cols, sum,
        [](const auto& s, const auto& a, const auto& b, const auto& c, const auto& d) {
          return s + a + b + c + d;
        },
        sum, x, x + stride, x + 2 * stride, x + 3 * stride);
  for (; i < rows; ++i, x += stride) add_numbers(sum, x, cols);
}

/// sum += factor x
template <class T>
void add_scaled(T* sum, const T* x, T factor, Index n) {
  transform<T>(
      n, sum,
      [factor](const auto& a, const auto& v) { return multiply_add(v, Pack<T>(factor), a); }, sum,
      x);
}

/// Softmax: y = exp(x - max x) / sum. Returns log(sum exp(x)). y may be x.
template <class T>
T softmax_row(const T* x, T* y, Index n) {
  using P = Pack<T>;
  const T most = largest(x, n);
  transform<T>(n, y, [most](const auto& v) { return exp(v - P(most)); }, x);
  // A separate sum: in the pass above it would add the numbers that fill the last pack.
  const T sum = accumulate<T>(n, [](const auto& v) { return v; }, y);
  transform<T>(n, y, [sum](const auto& v) { return quotient(v, P(sum)); }, y);
  return most + std::log(sum);
}

/// The gradient of softmax: dx = y (dy - <dy, y>).
template <class T>
void softmax_row_backward(const T* y, const T* dy, T* dx, Index n) {
  using P = Pack<T>;
  transform<T>(
      n, dx, [mean = dot(y, dy, n)](const auto& v, const auto& g) { return v * (g - P(mean)); }, y,
      dy);
}

/// A power of two. Divided by it, no magnitude is above 2^exponent, for an exponent above 0, so
/// that sums or squares do not overflow. It is 1 except for extremely large numbers.
template <std::floating_point T>
T power_of_two_scale(std::span<const T> values, int exponent) {
  if (exponent >= std::numeric_limits<T>::max_exponent) return T{1};
  const auto of_part = [&](Index begin, Index end) {
    return largest(values.data() + begin, end - begin, [](const auto& x) { return absolute(x); });
  };
  const auto larger = [](T a, T b) { return std::max(a, b); };
  const T most =
      parallel_reduce(static_cast<Index>(values.size()), Index{1} << 15, T{0}, of_part, larger);
  return most > std::ldexp(T{1}, exponent)
             ? std::ldexp(T{1}, std::numeric_limits<T>::max_exponent - exponent)
             : T{1};
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
