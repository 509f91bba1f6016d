// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/ops/activation.hpp>          // gelu
#include <splitvit/autograd/ops/arithmetic.hpp>          // add
#include <splitvit/autograd/ops/attention.hpp>           // attention, cls_attention
#include <splitvit/autograd/ops/block.hpp>               // transformer_block
#include <splitvit/autograd/ops/cls_self_attention.hpp>  // cls_self_attention
#include <splitvit/autograd/ops/layer_norm.hpp>          // layer_norm
#include <splitvit/autograd/ops/linear.hpp>              // Compute, linear
#include <splitvit/autograd/ops/tokens.hpp>              // cls_token
#include <splitvit/autograd/variable.hpp>                // Variable
#include <splitvit/kernel/compute.hpp>                   // require_compute
#include <splitvit/nn/concepts.hpp>                      // nested

namespace splitvit::inline SPLITVIT_BUILD::nn {

/// A layer with a weight and a bias, as torch.nn.Linear.
/// Shapes  (..., in) -> (..., out).
template <std::floating_point T>
struct Linear {
  Variable<T> weight;  ///< (out, in)
  Variable<T> bias;    ///< (out)
  /// Or linear with another type of factors in its products; see Block::use.
  decltype(&linear<T, T>) product = &linear<T, T>;

  /// All parameters zero; see init.hpp.
  Linear(Index in, Index out)
      : weight{Variable<T>::parameter(Tensor<T>{Shape{out, in}})},
        bias{Variable<T>::parameter(Tensor<T>{Shape{out}})} {}

  Variable<T> operator()(const Variable<T>& x) const { return product(x, weight, bias); }

  void each_parameter(auto&& see) const {
    see("weight", weight);
    see("bias", bias);
  }
};

/// Normalised rows with a learnt scale and shift, as torch.nn.LayerNorm.
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

/// Multi-head self-attention, as timm's; also returns the attention of CLS to each token.
/// Shapes  x (B, N, width) -> y (B, N, width), cls_attention (B, N) if needed. bias (B, N) or
///         empty: added to the scores of attention, one number for each key.
template <std::floating_point T>
struct Attention {
  Linear<T> qkv;   ///< queries, keys and values at once, with bias
  Linear<T> proj;  ///< mixes the outputs of the heads
  Index heads;
  /// Or without_keys, for Compute::bf16; see Block::use.
  Variable<T> (*cls_attended)(const Attention&, const Variable<T>& x,
                              const Tensor<T>& bias) = &Attention::with_keys;

  Attention(Index width, Index heads_) : qkv{width, 3 * width}, proj{width, width}, heads{heads_} {}

  AttentionOutput<T> operator()(const Variable<T>& x, NeedWeights need_weights = NeedWeights::none,
                                const Tensor<T>& bias = {}) const {
    AttentionOutput<T> attended = attention(qkv(x), heads, need_weights, bias);
    attended.y = proj(attended.y);
    return attended;
  }

  /// Row 0 of y only.
  /// Shapes  x (B, N, width), bias (B, N) or empty -> (B, width).
  Variable<T> cls(const Variable<T>& x, const Tensor<T>& bias = {}) const {
    return proj(cls_attended(*this, x, bias));
  }

  /// What cls() projects, from keys and values of all tokens.
  static Variable<T> with_keys(const Attention& a, const Variable<T>& x, const Tensor<T>& bias) {
    return cls_attention(a.qkv(x), a.heads, bias);
  }
  /// The same without them, which leaves so little work that its products are of type T.
  static Variable<T> without_keys(const Attention& a, const Variable<T>& x, const Tensor<T>& bias) {
    return cls_self_attention(x, a.qkv.weight, a.qkv.bias, a.heads, bias);
  }

  void each_parameter(auto&& see) const {
    nested("qkv.", qkv, see);
    nested("proj.", proj, see);
  }
};

/// Two linear layers with GELU between.
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

/// A pre-norm block: x + attention(norm1 x), then x + mlp(norm2 x); computed as one operation.
/// Shapes  as Attention.
template <std::floating_point T>
struct Block {
  LayerNorm<T> norm1;
  Attention<T> attn;
  LayerNorm<T> norm2;
  Mlp<T> mlp;
  Checkpointing checkpointing = Checkpointing::store;
  decltype(&transformer_block<T, T>) whole = &transformer_block<T, T>;  ///< likewise

  Block(Index width, Index heads, Index hidden)
      : norm1{width}, attn{width, heads}, norm2{width}, mlp{width, hidden} {}

  AttentionOutput<T> operator()(const Variable<T>& x, NeedWeights need_weights = NeedWeights::none,
                                const Tensor<T>& bias = {}) const {
    const BlockVariables<T> parameters{
        norm1.weight, norm1.bias, attn.qkv.weight, attn.qkv.bias, attn.proj.weight, attn.proj.bias,
        norm2.weight, norm2.bias, mlp.fc1.weight,  mlp.fc1.bias,  mlp.fc2.weight,   mlp.fc2.bias};
    return whole(x, parameters, attn.heads, norm1.eps, need_weights, checkpointing, bias);
  }

  /// How products are computed, except for those of attention in cls(). Only a program that calls
  /// this compiles them for bf16.
  /// Errors  std::invalid_argument if this build cannot.
  void use(Compute compute) {
    kernel::with_stored<T>(compute, [this]<class Stored>() {
      for (Linear<T>* layer : {&attn.qkv, &attn.proj, &mlp.fc1, &mlp.fc2})
        layer->product = &linear<T, Stored>;
      whole = &transformer_block<T, Stored>;
      attn.cls_attended =
          std::same_as<T, Stored> ? &Attention<T>::with_keys : &Attention<T>::without_keys;
    });
  }

  /// Computes the CLS token only, all that a classifier reads from a last block, in a quarter of
  /// the work or less: the other tokens need keys and values only, for Compute::bf16 not even
  /// those. Shapes  x (B, N, width), bias (B, N) or empty -> (B, width).
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

}  // namespace splitvit::inline SPLITVIT_BUILD::nn
