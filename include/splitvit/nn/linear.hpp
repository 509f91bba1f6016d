// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point

#include <splitvit/autograd/ops/linear.hpp>  // linear
#include <splitvit/autograd/variable.hpp>    // Variable

// Linear: a layer with a weight and a bias, as torch.nn.Linear.

namespace splitvit::nn {

/// Shapes  (..., in) -> (..., out).
template <std::floating_point T>
struct Linear {
  Variable<T> weight;  ///< (out, in)
  Variable<T> bias;    ///< (out)

  /// All parameters zero; see init.hpp.
  Linear(Index in, Index out)
      : weight{Variable<T>::parameter(Tensor<T>{Shape{out, in}})},
        bias{Variable<T>::parameter(Tensor<T>{Shape{out}})} {}

  Variable<T> operator()(const Variable<T>& x) const { return linear(x, weight, bias); }

  void each_parameter(auto&& see) const {
    see("weight", weight);
    see("bias", bias);
  }
};

}  // namespace splitvit::nn
