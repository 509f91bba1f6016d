// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point

#include <splitvit/autograd/ops/layer_norm.hpp>  // layer_norm
#include <splitvit/autograd/variable.hpp>        // Variable

// LayerNorm: normalised rows with a learnt scale and shift, as torch.nn.LayerNorm.

namespace splitvit::nn {

/// Shapes  (..., width) -> the same.
template <std::floating_point T>
struct LayerNorm {
  Variable<T> weight;  ///< (width), starts as ones
  Variable<T> bias;    ///< (width), starts as zeros
  T eps = T(1e-6);     ///< as in timm's ViT

  explicit LayerNorm(Index width)
      : weight{Variable<T>::parameter(Tensor<T>::full(Shape{width}, T{1}))},
        bias{Variable<T>::parameter(Tensor<T>{Shape{width}})} {}

  Variable<T> operator()(const Variable<T>& x) const { return layer_norm(x, weight, bias, eps); }

  void each_parameter(auto&& see) const {
    see("weight", weight);
    see("bias", bias);
  }
};

}  // namespace splitvit::nn
