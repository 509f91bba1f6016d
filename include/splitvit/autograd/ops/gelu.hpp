// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/variable.hpp>  // Variable, record
#include <splitvit/kernel/gelu.hpp>        // gelu_forward, gelu_backward

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

}  // namespace splitvit::inline SPLITVIT_BUILD
