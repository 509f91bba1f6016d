// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point

#include <splitvit/autograd/ops/gelu.hpp>  // gelu
#include <splitvit/nn/concepts.hpp>        // nested
#include <splitvit/nn/linear.hpp>          // Linear

// Mlp: two linear layers with GELU between, as timm's.

namespace splitvit::nn {

/// Shapes  (..., width) -> the same.
template <std::floating_point T>
struct Mlp {
  Linear<T> fc1;
  Linear<T> fc2;

  Mlp(Index width, Index hidden) : fc1{width, hidden}, fc2{hidden, width} {}

  Variable<T> operator()(const Variable<T>& x) const { return fc2(gelu(fc1(x))); }

  void each_parameter(auto&& see) const {
    nested("fc1.", fc1, see);
    nested("fc2.", fc2, see);
  }
};

}  // namespace splitvit::nn
