// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/variable.hpp>  // Variable, record
#include <splitvit/kernel/linear.hpp>      // linear_forward and its gradients

namespace splitvit::inline SPLITVIT_BUILD {

namespace detail {
/// The last axis as columns, all others as rows.
auto as_matrix(auto& x) { return kernel::dense(x.data(), x.shape().rows(), x.shape().back()); }

template <class T>
std::string bias_text(const Variable<T>& bias) {
  return bias.defined() ? ", bias " + bias.shape().text() : "";
}

/// Adds the sum of dy's rows to the gradient of the bias, if it requires one.
template <class T>
void add_bias_gradient(const Variable<T>& bias, const Tensor<T>& dy) {
  if (!bias.requires_grad()) return;
  Tensor<T> db{bias.shape()};
  kernel::add_column_sums<T>(as_matrix(dy), db.data());
  bias.add_gradient(std::move(db));
}
}  // namespace detail

/// y = x W^T + b, as torch.nn.functional.linear. Stored is the type of the factors in all products
/// (kernel/gemm.hpp), here and in the operations that follow.
///
/// Shapes  x (..., in), weight (out, in), bias (out) or not defined -> (..., out).
/// Grad    all three.
/// Errors  ShapeError.
template <std::floating_point T, class Stored = T>
Variable<T> linear(const Variable<T>& x, const Variable<T>& weight, const Variable<T>& bias = {}) {
  if (x.shape().rank() < 1 || weight.shape().rank() != 2 || x.shape().back() != weight.dim(1) ||
      (bias.defined() && bias.shape() != Shape{weight.dim(0)}))
    throw ShapeError({"linear: x ", x.shape(), ", weight ", weight.shape(), detail::bias_text(bias),
                      ": wanted x (..., in), weight (out, in), bias (out)"});
  const Shape shape = x.shape().with(x.shape().rank() - 1, weight.dim(0));
  Tensor<T> y = Tensor<T>::uninitialised(shape);
  kernel::linear_forward<T, Stored>(detail::as_matrix(x.value()), detail::as_matrix(weight.value()),
                                    bias.defined() ? bias.value().data() : nullptr,
                                    detail::as_matrix(y));
  return record(std::move(y), {x, weight, bias}, [=](const Tensor<T>&, const Tensor<T>& dy) {
    // forward: y = x W^T + b, so dx = dy W, dW = dy^T x, db = the sum of dy's rows
    x.add_gradient_from([&](Tensor<T>& dx) {
      kernel::linear_input_gradient<T, Stored>(
          detail::as_matrix(dy), detail::as_matrix(weight.value()), detail::as_matrix(dx));
    });
    weight.add_gradient_from([&](Tensor<T>& dw) {
      kernel::linear_weight_gradient<T, Stored>(detail::as_matrix(dy), detail::as_matrix(x.value()),
                                                detail::as_matrix(dw));
    });
    detail::add_bias_gradient(bias, dy);
  });
}

SPLITVIT_ONCE(Variable<float> linear<float, float>(const Variable<float>&, const Variable<float>&,
                                                   const Variable<float>&));

}  // namespace splitvit::inline SPLITVIT_BUILD
