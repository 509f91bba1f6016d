// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point

#include <splitvit/autograd/variable.hpp>  // Variable, record
#include <splitvit/kernel/attention.hpp>   // attention_forward, attention_backward

// attention: softmax(q k^T / sqrt d) v in several heads, and how CLS looks at each token.

namespace splitvit {

/// Whether attention() also hands out row 0 of its probabilities.
enum class ClsRow { skip, keep };

template <std::floating_point T>
struct Attended {
  Variable<T> y;            ///< (B, N, D)
  Tensor<T> cls_attention;  ///< (B, N), or shape (0) when not asked for
};

/// Multi-head self-attention between its two linear layers.
///
/// Shapes  qkv (B, N, 3 D): all queries, all keys, all values, each head by head -> y (B, N, D).
/// Units   cls_attention: probabilities of token 0, mean over heads, each row sums to 1; it
///         carries no gradient.
/// Grad    qkv.
/// Errors  ShapeError unless `heads` divides D.
template <std::floating_point T>
Attended<T> attention(const Variable<T>& qkv, Index heads, ClsRow cls_row = ClsRow::skip) {
  const Shape& shape = qkv.shape();
  if (shape.rank() != 3 || heads < 1 || shape[2] == 0 || shape[2] % (3 * heads) != 0)
    throw ShapeError("attention: qkv " + shape.text() + " in " + std::to_string(heads) +
                     " heads: wanted (B, N, 3 D) with D a multiple of the heads");
  const kernel::AttentionSizes s{.B = shape[0], .N = shape[1], .D = shape[2] / 3, .H = heads};
  Tensor<T> y = Tensor<T>::uninitialised(Shape{s.B, s.N, s.D});
  Tensor<T> log_sums = Tensor<T>::uninitialised(Shape{s.B, s.H, s.N});
  Tensor<T> cls;
  if (cls_row == ClsRow::keep) cls = Tensor<T>::uninitialised(Shape{s.B, s.N});
  kernel::attention_forward(qkv.value().data(), y.data(), log_sums.data(),
                            cls_row == ClsRow::keep ? cls.data() : nullptr, s);
  Variable<T> recorded =
      record(std::move(y), {qkv},
             [qkv, s, log_sums = std::move(log_sums)](const Tensor<T>& out, const Tensor<T>& dy) {
               Tensor<T> dqkv = Tensor<T>::uninitialised(qkv.shape());
               kernel::attention_backward(qkv.value().data(), out.data(), log_sums.data(),
                                          dy.data(), dqkv.data(), s);
               qkv.add_gradient(std::move(dqkv));
             });
  return {std::move(recorded), std::move(cls)};
}

}  // namespace splitvit
