// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/variable.hpp>  // Variable, record
#include <splitvit/core/parallel.hpp>      // parallel_for
#include <splitvit/kernel/vector_ops.hpp>  // softmax_row, softmax_row_backward

namespace splitvit::inline SPLITVIT_BUILD {

/// exp(x) / sum exp(x) over the last axis.
///
/// Shapes  x (..., n), n >= 1; the result has the shape of x.
/// Errors  ShapeError for rows without elements.
template <std::floating_point T>
Variable<T> softmax(const Variable<T>& x) {
  const Index n = x.shape().back();
  if (n == 0) throw ShapeError({"softmax: x ", x.shape(), " has rows without elements"});
  constexpr Index grain = 64;
  Tensor<T> y = Tensor<T>::uninitialised(x.shape());
  parallel_for(x.shape().rows(), grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i)
      kernel::softmax_row(x.value().data() + i * n, y.data() + i * n, n);
  });
  return record(std::move(y), {x}, [x, n](const Tensor<T>& out, const Tensor<T>& dy) {
    // forward: dy_i/dx_j = y_i (d_ij - y_j) within a row, so dx = y (dy - <dy, y>)
    x.add_gradient_from([&](Tensor<T>& dx) {
      parallel_for(x.shape().rows(), grain, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i)
          kernel::softmax_row_backward(out.data() + i * n, dy.data() + i * n, dx.data() + i * n, n);
      });
    });
  });
}

}  // namespace splitvit::inline SPLITVIT_BUILD
