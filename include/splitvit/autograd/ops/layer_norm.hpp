// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/variable.hpp>  // Variable, record
#include <splitvit/kernel/layer_norm.hpp>  // layer_norm_forward, layer_norm_backward

namespace splitvit::inline SPLITVIT_BUILD {

/// y = (x - mean) / sqrt(variance + eps) * weight + bias over the last axis, with the biased
/// variance, as torch.nn.functional.layer_norm.
///
/// Shapes  x (..., D), weight (D), bias (D) -> (..., D).
/// Grad    all three.
/// Errors  ShapeError.
template <std::floating_point T>
Variable<T> layer_norm(const Variable<T>& x, const Variable<T>& weight, const Variable<T>& bias,
                       T eps = T(1e-6)) {
  const Index D = x.shape().back();
  const Index M = x.shape().rows();
  if (x.shape().rank() == 0 || D == 0 || weight.shape() != Shape{D} || bias.shape() != Shape{D})
    throw ShapeError({"layer_norm: x ", x.shape(), ", weight ", weight.shape(), ", bias ",
                      bias.shape(), ": wanted x (..., D), both others (D)"});
  Tensor<T> y = Tensor<T>::uninitialised(x.shape());
  Tensor<T> mean = Tensor<T>::uninitialised(Shape{M});
  Tensor<T> scale = Tensor<T>::uninitialised(Shape{M});
  kernel::layer_norm_forward<T>(x.value().data(), {weight.value().data(), bias.value().data(), eps},
                                {mean.data(), scale.data()}, y.data(), M, D);
  return record(std::move(y), {x, weight, bias},
                [x, weight, bias, M, D, mean = std::move(mean), scale = std::move(scale)](
                    const Tensor<T>&, Tensor<T> dy) mutable {
                  Tensor<T> dw{weight.shape()};
                  Tensor<T> db{bias.shape()};
                  kernel::layer_norm_backward<T>(x.value().data(), weight.value().data(),
                                                 {mean.data(), scale.data()}, dy.data(), dy.data(),
                                                 dw.data(), db.data(), M, D);
                  x.add_gradient(std::move(dy));  // dx, in the same memory
                  weight.add_gradient(std::move(dw));
                  bias.add_gradient(std::move(db));
                });
}

SPLITVIT_ONCE(Variable<float> layer_norm(const Variable<float>&, const Variable<float>&,
                                         const Variable<float>&, float));

}  // namespace splitvit::inline SPLITVIT_BUILD
