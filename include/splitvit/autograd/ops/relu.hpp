// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/variable.hpp>   // Variable, record
#include <splitvit/tensor/elementwise.hpp>  // map, zip

namespace splitvit::inline SPLITVIT_BUILD {

/// max(x, 0) of each element.
///
/// Grad    0 at x = 0, as in PyTorch. NaN stays NaN, so that it is noticed.
template <std::floating_point T>
Variable<T> relu(const Variable<T>& x) {
  return record(
      detail::map(x.value(), [](T v) { return v <= T{} ? T{} : v; }), {x},
      [x](const Tensor<T>& y, const Tensor<T>& dy) {
        x.add_gradient(detail::zip("relu", y, dy, [](T v, T g) { return v <= T{} ? T{} : g; }));
      });
}

}  // namespace splitvit::inline SPLITVIT_BUILD
