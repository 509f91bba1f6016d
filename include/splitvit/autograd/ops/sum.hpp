// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/ops/arithmetic.hpp>  // scale
#include <splitvit/autograd/variable.hpp>        // Variable, record
#include <splitvit/tensor/reduce.hpp>            // sum_all

namespace splitvit::inline SPLITVIT_BUILD {

/// Shapes  x any -> (1).
template <std::floating_point T>
Variable<T> sum(const Variable<T>& x) {
  return record(Tensor<T>::full(Shape{1}, static_cast<T>(sum_all(x.value().view()))), {x},
                [x](const Tensor<T>&, const Tensor<T>& dy) {
                  x.add_gradient(Tensor<T>::full(x.shape(), dy[0]));
                });
}

/// Shapes  x any -> (1). Errors  ShapeError if x is empty.
template <std::floating_point T>
Variable<T> mean(const Variable<T>& x) {
  if (x.value().empty()) throw ShapeError({"mean: x ", x.shape(), " has no elements"});
  return scale(sum(x), T{1} / static_cast<T>(x.value().size()));
}

}  // namespace splitvit::inline SPLITVIT_BUILD
