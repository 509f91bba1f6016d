// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/tensor/tensor.hpp>  // Tensor

// Arithmetic element by element. Shapes must be equal; nothing is broadcast.

namespace splitvit::inline SPLITVIT_BUILD {

namespace detail {
/// So many elements make it worth while to wake another thread.
inline constexpr Index elementwise_grain = 1 << 15;

inline void require_equal_shapes(const char* operation, const Shape& a, const Shape& b) {
  if (a != b) throw ShapeError({operation, ": ", a, " and ", b, ": both shapes must be equal"});
}

/// y_i = f(a_i, b_i).
template <class T, class F>
Tensor<T> zip(const char* operation, const Tensor<T>& a, const Tensor<T>& b, const F& f) {
  require_equal_shapes(operation, a.shape(), b.shape());
  Tensor<T> y = Tensor<T>::uninitialised(a.shape());
  parallel_for(a.size(), elementwise_grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) y[i] = f(a[i], b[i]);
  });
  return y;
}

/// y_i = f(x_i).
template <class T, class F>
Tensor<T> map(const Tensor<T>& x, const F& f) {
  Tensor<T> y = Tensor<T>::uninitialised(x.shape());
  parallel_for(x.size(), elementwise_grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) y[i] = f(x[i]);
  });
  return y;
}
}  // namespace detail

/// a + b
template <std::floating_point T>
Tensor<T> add(const Tensor<T>& a, const Tensor<T>& b) {
  return detail::zip("add", a, b, [](T u, T v) { return u + v; });
}

/// a - b
template <std::floating_point T>
Tensor<T> sub(const Tensor<T>& a, const Tensor<T>& b) {
  return detail::zip("sub", a, b, [](T u, T v) { return u - v; });
}

/// a * b, element by element
template <std::floating_point T>
Tensor<T> mul(const Tensor<T>& a, const Tensor<T>& b) {
  return detail::zip("mul", a, b, [](T u, T v) { return u * v; });
}

/// factor * x
template <std::floating_point T>
Tensor<T> scale(const Tensor<T>& x, T factor) {
  return detail::map(x, [factor](T u) { return factor * u; });
}

/// sum += x, in place
template <std::floating_point T>
void add_to(Tensor<T>& sum, const Tensor<T>& x) {
  detail::require_equal_shapes("add_to", sum.shape(), x.shape());
  parallel_for(x.size(), detail::elementwise_grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) sum[i] += x[i];
  });
}

}  // namespace splitvit::inline SPLITVIT_BUILD
