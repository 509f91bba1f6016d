// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point

#include <splitvit/autograd/variable.hpp>  // Variable, record
#include <splitvit/kernel/gelu.hpp>        // gelu_forward, gelu_backward

// gelu: x/2 (1 + erf(x / sqrt 2)), the exact form.

namespace splitvit {

/// Shapes  any; the result has the shape of x.
template <std::floating_point T>
Variable<T> gelu(const Variable<T>& x) {
  Tensor<T> y = Tensor<T>::uninitialised(x.shape());
  kernel::gelu_forward(x.value().data(), y.data(), y.size());
  return record(std::move(y), {x}, [x](const Tensor<T>&, const Tensor<T>& dy) {
    Tensor<T> dx = Tensor<T>::uninitialised(x.shape());
    kernel::gelu_backward(x.value().data(), dy.data(), dx.data(), dx.size());
    x.add_gradient(std::move(dx));
  });
}

}  // namespace splitvit
