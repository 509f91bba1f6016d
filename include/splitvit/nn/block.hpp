// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point

#include <splitvit/autograd/ops/arithmetic.hpp>  // add
#include <splitvit/nn/attention.hpp>             // Attention
#include <splitvit/nn/layer_norm.hpp>            // LayerNorm
#include <splitvit/nn/mlp.hpp>                   // Mlp

// Block: one pre-norm transformer block, as timm's.

namespace splitvit::nn {

/// x + attention(norm1 x), then x + mlp(norm2 x).
///
/// Shapes  x (B, N, width) -> y (B, N, width), cls_attention (B, N) where asked for.
template <std::floating_point T>
struct Block {
  LayerNorm<T> norm1;
  Attention<T> attn;
  LayerNorm<T> norm2;
  Mlp<T> mlp;

  Block(Index width, Index heads, Index hidden)
      : norm1{width}, attn{width, heads}, norm2{width}, mlp{width, hidden} {}

  Attended<T> operator()(const Variable<T>& x, ClsRow cls_row = ClsRow::skip) const {
    Attended<T> attended = attn(norm1(x), cls_row);
    const Variable<T> middle = add(x, attended.y);
    attended.y = add(middle, mlp(norm2(middle)));
    return attended;
  }

  void each_parameter(auto&& see) const {
    nested("norm1.", norm1, see);
    nested("attn.", attn, see);
    nested("norm2.", norm2, see);
    nested("mlp.", mlp, see);
  }
};

}  // namespace splitvit::nn
