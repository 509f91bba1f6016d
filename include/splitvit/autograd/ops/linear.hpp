// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point

#include <splitvit/autograd/variable.hpp>  // Variable, record
#include <splitvit/kernel/linear.hpp>      // linear_forward and its gradients

// linear: y = x W^T + b, as torch.nn.functional.linear.

namespace splitvit {

namespace detail {

/// The last axis as columns, all others as rows.
template <class T>
kernel::Matrix<const T> as_matrix(const Tensor<T>& x) {
  return {x.data(), x.shape().rows(), x.shape().back(), x.shape().back()};
}
template <class T>
kernel::Matrix<T> as_matrix(Tensor<T>& x) {
  return {x.data(), x.shape().rows(), x.shape().back(), x.shape().back()};
}

template <class T>
void require_linear_shapes(const Variable<T>& x, const Variable<T>& weight,
                           const Variable<T>& bias) {
  const bool fits = x.shape().rank() >= 1 && weight.shape().rank() == 2 &&
                    x.shape().back() == weight.dim(1) &&
                    (!bias.defined() || bias.shape() == Shape{weight.dim(0)});
  if (!fits)
    throw ShapeError("linear: x " + x.shape().text() + ", weight " + weight.shape().text() +
                     (bias.defined() ? ", bias " + bias.shape().text() : std::string{}) +
                     ": wanted x (..., in), weight (out, in), bias (out)");
}

/// Adds the sum of dy's rows to the gradient of the bias, if there is one and it requires it.
template <class T>
void add_bias_gradient(const Variable<T>& bias, const Tensor<T>& dy) {
  if (!bias.defined() || !bias.requires_grad()) return;
  Tensor<T> db{bias.shape()};
  kernel::add_column_sums<T>(as_matrix(dy), db.data());
  bias.add_gradient(std::move(db));
}

/// record() with or without a bias.
template <class T, class Backward>
Variable<T> record_linear(Tensor<T>&& y, const Variable<T>& x, const Variable<T>& weight,
                          const Variable<T>& bias, const Backward& backward) {
  if (bias.defined()) return record(std::move(y), {x, weight, bias}, backward);
  return record(std::move(y), {x, weight}, backward);
}

}  // namespace detail

/// Shapes  x (..., in), weight (out, in), bias (out) or not defined -> (..., out).
/// Grad    all three.
/// Errors  ShapeError.
template <std::floating_point T>
Variable<T> linear(const Variable<T>& x, const Variable<T>& weight, const Variable<T>& bias = {}) {
  detail::require_linear_shapes(x, weight, bias);
  const Shape shape = x.shape().with(x.shape().rank() - 1, weight.dim(0));
  Tensor<T> y = Tensor<T>::uninitialised(shape);
  kernel::linear_forward<T>(detail::as_matrix(x.value()), detail::as_matrix(weight.value()),
                            bias.defined() ? bias.value().data() : nullptr, detail::as_matrix(y));

  const auto backward = [x, weight, bias](const Tensor<T>&, const Tensor<T>& dy) {
    // forward: y = x W^T + b, so dx = dy W, dW = dy^T x, db = the sum of dy's rows
    if (x.requires_grad()) {
      Tensor<T> dx = Tensor<T>::uninitialised(x.shape());
      kernel::linear_input_gradient<T>(detail::as_matrix(dy), detail::as_matrix(weight.value()),
                                       detail::as_matrix(dx));
      x.add_gradient(std::move(dx));
    }
    if (weight.requires_grad()) {
      Tensor<T> dw = Tensor<T>::uninitialised(weight.shape());
      kernel::linear_weight_gradient<T>(detail::as_matrix(dy), detail::as_matrix(x.value()),
                                        detail::as_matrix(dw));
      weight.add_gradient(std::move(dw));
    }
    detail::add_bias_gradient(bias, dy);
  };
  return detail::record_linear(std::move(y), x, weight, bias, backward);
}

}  // namespace splitvit
