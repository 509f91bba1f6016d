// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/shape.hpp>   // Index
#include <splitvit/kernel/simd.hpp>  // accumulate, multiply_add, Pack, transform

// Common operations on n contiguous numbers.

namespace splitvit::kernel {

/// The sum of a_i b_i.
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

/// sum += factor x
template <class T>
void add_scaled(T* sum, const T* x, T factor, Index n) {
  transform<T>(
      n, sum,
      [factor](const auto& a, const auto& v) { return multiply_add(v, Pack<T>(factor), a); }, sum,
      x);
}

}  // namespace splitvit::kernel
