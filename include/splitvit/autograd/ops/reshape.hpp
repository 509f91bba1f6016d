// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/variable.hpp>  // Variable, record

namespace splitvit::inline SPLITVIT_BUILD {

/// The same numbers, in the same order. Errors  ShapeError if the number of elements differs.
template <std::floating_point T>
Variable<T> reshape(const Variable<T>& x, const Shape& shape) {
  return record(x.value().reshaped(shape), {x}, [x](const Tensor<T>&, Tensor<T> dy) {
    x.add_gradient(std::move(dy).reshaped(x.shape()));
  });
}

}  // namespace splitvit::inline SPLITVIT_BUILD
