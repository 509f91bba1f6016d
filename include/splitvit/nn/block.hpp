// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point

#include <splitvit/autograd/ops/arithmetic.hpp>  // add
#include <splitvit/autograd/ops/block.hpp>       // transformer_block
#include <splitvit/autograd/ops/tokens.hpp>      // cls_token
#include <splitvit/nn/attention.hpp>             // Attention
#include <splitvit/nn/layer_norm.hpp>            // LayerNorm
#include <splitvit/nn/mlp.hpp>                   // Mlp

// Block: one pre-norm transformer block, as timm's.

namespace splitvit::nn {

/// x + attention(norm1 x), then x + mlp(norm2 x); computed as one operation.
///
/// Shapes  x (B, N, width) -> y (B, N, width), cls_attention (B, N) where asked for. bias (B, N) or
///         empty: added to the scores of attention, one number for each key.
template <std::floating_point T>
struct Block {
  LayerNorm<T> norm1;
  Attention<T> attn;
  LayerNorm<T> norm2;
  Mlp<T> mlp;
  Checkpointing checkpointing = Checkpointing::store;

  Block(Index width, Index heads, Index hidden)
      : norm1{width}, attn{width, heads}, norm2{width}, mlp{width, hidden} {}

  AttentionOutput<T> operator()(const Variable<T>& x, NeedWeights need_weights = NeedWeights::none,
                                const Tensor<T>& bias = {}) const {
    const BlockVariables<T> parameters{
        norm1.weight, norm1.bias, attn.qkv.weight, attn.qkv.bias, attn.proj.weight, attn.proj.bias,
        norm2.weight, norm2.bias, mlp.fc1.weight,  mlp.fc1.bias,  mlp.fc2.weight,   mlp.fc2.bias};
    return transformer_block(x, parameters, attn.heads, norm1.eps, need_weights, checkpointing,
                             bias);
  }

  /// Computes the CLS token only, which is all that a classifier reads from a last block. It takes
  /// a quarter of the work, because the other tokens need keys and values only.
  ///
  /// Shapes  x (B, N, width), bias (B, N) or empty -> (B, width).
  Variable<T> cls(const Variable<T>& x, const Tensor<T>& bias = {}) const {
    const Variable<T> middle = add(cls_token(x), attn.cls(norm1(x), bias));
    return add(middle, mlp(norm2(middle)));
  }

  void each_parameter(auto&& see) const {
    nested("norm1.", norm1, see);
    nested("attn.", attn, see);
    nested("norm2.", norm2, see);
    nested("mlp.", mlp, see);
  }
};

}  // namespace splitvit::nn
