// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point

#include <splitvit/autograd/ops/attention.hpp>  // attention, cls_attention
#include <splitvit/nn/concepts.hpp>             // nested
#include <splitvit/nn/linear.hpp>               // Linear

// Attention: multi-head self-attention, as timm's; also returns how CLS looks at each token.

namespace splitvit::nn {

/// Shapes  x (B, N, width) -> y (B, N, width), cls_attention (B, N) where asked for. bias (B, N) or
///         empty: added to the scores of attention, one number for each key.
template <std::floating_point T>
struct Attention {
  Linear<T> qkv;   ///< queries, keys and values at once, with bias
  Linear<T> proj;  ///< mixes the outputs of the heads
  Index heads;

  Attention(Index width, Index heads_) : qkv{width, 3 * width}, proj{width, width}, heads{heads_} {}

  AttentionOutput<T> operator()(const Variable<T>& x, NeedWeights need_weights = NeedWeights::none,
                                const Tensor<T>& bias = {}) const {
    AttentionOutput<T> attended = attention(qkv(x), heads, need_weights, bias);
    attended.y = proj(attended.y);
    return attended;
  }

  /// Row 0 of y only. Shapes  x (B, N, width), bias (B, N) or empty -> (B, width).
  Variable<T> cls(const Variable<T>& x, const Tensor<T>& bias = {}) const {
    return proj(cls_attention(qkv(x), heads, bias));
  }

  void each_parameter(auto&& see) const {
    nested("qkv.", qkv, see);
    nested("proj.", proj, see);
  }
};

}  // namespace splitvit::nn
