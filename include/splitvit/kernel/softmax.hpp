// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>  // log

#include <splitvit/kernel/simd.hpp>  // transform, accumulate, largest

// Softmax of one row of n numbers, forward and backward.

namespace splitvit::kernel {

/// y = exp(x - max x) / sum. Returns log(sum exp(x)). y may be x.
template <class T>
T softmax_row(const T* x, T* y, Index n) {
  using P = Pack<T>;
  const T most = largest(x, n);
  transform<T>(n, y, [most](const auto& v) { return exp(v - P(most)); }, x);
  // A separate sum, not one fused into the pass above: that would add the numbers that fill the
  // last pack.
  const T sum = accumulate<T>(n, [](const auto& v) { return v; }, y);
  transform<T>(n, y, [sum](const auto& v) { return v / P(sum); }, y);
  return most + std::log(sum);
}

/// dx = y (dy - <dy, y>)
template <class T>
void softmax_row_backward(const T* y, const T* dy, T* dx, Index n) {
  using P = Pack<T>;
  const T dot = accumulate<T>(n, [](const auto& v, const auto& g) { return v * g; }, y, dy);
  transform<T>(n, dx, [dot](const auto& v, const auto& g) { return v * (g - P(dot)); }, y, dy);
}

}  // namespace splitvit::kernel
