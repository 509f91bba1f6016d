// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/variable.hpp>   // Variable, record
#include <splitvit/kernel/gelu.hpp>         // gelu_forward, gelu_backward
#include <splitvit/tensor/elementwise.hpp>  // map, zip

namespace splitvit::inline SPLITVIT_BUILD {

/// x/2 (1 + erf(x / sqrt 2)), the exact form, of each element.
template <std::floating_point T>
Variable<T> gelu(const Variable<T>& x) {
  Tensor<T> y = Tensor<T>::uninitialised(x.shape());
  kernel::gelu_forward(x.value().data(), y.data(), y.size());
  return record(std::move(y), {x}, [x](const Tensor<T>&, const Tensor<T>& dy) {
    x.add_gradient_from([&](Tensor<T>& dx) {
      kernel::gelu_backward(x.value().data(), dy.data(), dx.data(), dx.size());
    });
  });
}

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

SPLITVIT_ONCE(Variable<float> gelu(const Variable<float>&));
SPLITVIT_ONCE(Variable<float> relu(const Variable<float>&));

}  // namespace splitvit::inline SPLITVIT_BUILD
