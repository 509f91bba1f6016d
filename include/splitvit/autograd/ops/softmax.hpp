// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point

#include <splitvit/autograd/variable.hpp>  // Variable, record
#include <splitvit/core/parallel.hpp>      // parallel_for
#include <splitvit/kernel/softmax.hpp>     // softmax_row, softmax_row_backward

// softmax: exp(x) / sum exp(x) over the last axis.

namespace splitvit {

/// Shapes  x (..., n), n >= 1; the result has the shape of x.
/// Errors  ShapeError for rows without elements.
template <std::floating_point T>
Variable<T> softmax(const Variable<T>& x) {
  const Index n = x.shape().back();
  if (n == 0) throw ShapeError("softmax: x " + x.shape().text() + " has rows without elements");
  constexpr Index grain = 64;
  Tensor<T> y = Tensor<T>::uninitialised(x.shape());
  parallel_for(x.shape().rows(), grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i)
      kernel::softmax_row(x.value().data() + i * n, y.data() + i * n, n);
  });
  return record(std::move(y), {x}, [x, n](const Tensor<T>& out, const Tensor<T>& dy) {
    // forward: y_i depends on every x_j of its row, dy_i/dx_j = y_i (d_ij - y_j), so
    // dx = y (dy - <dy, y>)
    Tensor<T> dx = Tensor<T>::uninitialised(x.shape());
    parallel_for(x.shape().rows(), grain, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i)
        kernel::softmax_row_backward(out.data() + i * n, dy.data() + i * n, dx.data() + i * n, n);
    });
    x.add_gradient(std::move(dx));
  });
}

}  // namespace splitvit
