// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/variable.hpp>   // Variable, record
#include <splitvit/tensor/elementwise.hpp>  // add, sub, mul, scale

namespace splitvit::inline SPLITVIT_BUILD {

/// a + b
template <std::floating_point T>
Variable<T> add(const Variable<T>& a, const Variable<T>& b) {
  return record(add(a.value(), b.value()), {a, b}, [a, b](const Tensor<T>&, Tensor<T> dy) {
    a.add_gradient(dy);
    b.add_gradient(std::move(dy));
  });
}

/// a - b
template <std::floating_point T>
Variable<T> sub(const Variable<T>& a, const Variable<T>& b) {
  return record(sub(a.value(), b.value()), {a, b}, [a, b](const Tensor<T>&, Tensor<T> dy) {
    b.add_gradient(scale(dy, T{-1}));
    a.add_gradient(std::move(dy));
  });
}

/// a * b, element by element
template <std::floating_point T>
Variable<T> mul(const Variable<T>& a, const Variable<T>& b) {
  return record(mul(a.value(), b.value()), {a, b}, [a, b](const Tensor<T>&, const Tensor<T>& dy) {
    a.add_gradient(mul(dy, b.value()));
    b.add_gradient(mul(dy, a.value()));
  });
}

/// factor * x
template <std::floating_point T>
Variable<T> scale(const Variable<T>& x, T factor) {
  return record(scale(x.value(), factor), {x}, [x, factor](const Tensor<T>&, const Tensor<T>& dy) {
    x.add_gradient(scale(dy, factor));
  });
}

/// x * x, element by element
template <std::floating_point T>
Variable<T> square(const Variable<T>& x) {
  return mul(x, x);
}

SPLITVIT_ONCE(Variable<float> add(const Variable<float>&, const Variable<float>&));
SPLITVIT_ONCE(Variable<float> sub(const Variable<float>&, const Variable<float>&));
SPLITVIT_ONCE(Variable<float> mul(const Variable<float>&, const Variable<float>&));
SPLITVIT_ONCE(Variable<float> scale(const Variable<float>&, float));

}  // namespace splitvit::inline SPLITVIT_BUILD
