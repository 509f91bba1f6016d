// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/finite.hpp>    // all_finite
#include <splitvit/core/parallel.hpp>  // parallel_reduce
#include <splitvit/tensor/tensor.hpp>  // TensorView

namespace splitvit::inline SPLITVIT_BUILD {

namespace detail {
/// The sum of f(x_i), in double precision and in a fixed order.
template <class T, class F>
double sum_of(TensorView<const T> x, const F& f) {
  return parallel_reduce(
      x.size(), Index{1} << 14, 0.0,
      [&](Index begin, Index end) {
        double part = 0;
        for (Index i = begin; i < end; ++i) part += f(static_cast<double>(x[i]));
        return part;
      },
      [](double a, double b) { return a + b; });
}
}  // namespace detail

/// The sum of all elements.
template <std::floating_point T>
double sum_all(TensorView<const T> x) {
  return detail::sum_of(x, [](double v) { return v; });
}

/// The sum of the squares of all elements.
template <std::floating_point T>
double sum_of_squares(TensorView<const T> x) {
  return detail::sum_of(x, [](double v) { return v * v; });
}

/// Whether no element is NaN or infinite.
template <std::floating_point T>
bool all_finite(TensorView<const T> x) {
  return all_finite<T>(x.span());
}

}  // namespace splitvit::inline SPLITVIT_BUILD
