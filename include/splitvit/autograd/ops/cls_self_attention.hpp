// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/ops/attention.hpp>     // data_of, require_bias
#include <splitvit/autograd/variable.hpp>          // Variable, record
#include <splitvit/kernel/cls_self_attention.hpp>  // cls_self_attention_forward and its gradient

namespace splitvit::inline SPLITVIT_BUILD {

/// cls_attention(linear(x, weight, bias), heads, score_bias), computed in an order in which no
/// token needs a key or a value: H / D of the work, and no memory for them.
///
/// Shapes  x (B, N, D), N >= 1, weight (3 D, D), bias (3 D) -> (B, D); score_bias (B, N) or empty.
/// Grad    x, weight and bias; zero for the bias of keys, which changes nothing.
/// Errors  ShapeError.
template <std::floating_point T>
Variable<T> cls_self_attention(const Variable<T>& x, const Variable<T>& weight,
                               const Variable<T>& bias, Index heads,
                               const Tensor<T>& score_bias = {}) {
  const Shape& shape = x.shape();
  const Index D = shape.rank() == 3 ? shape[2] : 0;
  if (D < 1 || shape[1] < 1 || heads < 1 || D % heads != 0 || weight.shape() != Shape{3 * D, D} ||
      bias.shape() != Shape{3 * D})
    throw ShapeError({"cls_self_attention: x ", shape, " in ", heads, " heads, weight ",
                      weight.shape(), ", bias ", bias.shape(),
                      ": wanted (B, N, D) with a token 0 and D a multiple of the heads, (3 D, D), "
                      "(3 D)"});
  const kernel::AttentionSizes s{.B = shape[0], .N = shape[1], .D = D, .H = heads};
  detail::require_bias("cls_self_attention", score_bias, s.B, s.N);
  using Kept = kernel::ClsSelfKept<T>;
  Tensor<T> memory = Tensor<T>::uninitialised(Shape{Kept::numbers(s)});
  Tensor<T> y = Tensor<T>::uninitialised(Shape{s.B, s.D});
  kernel::cls_self_attention_forward<T>(x.value().data(), weight.value().data(),
                                        bias.value().data(), detail::data_of(score_bias), y.data(),
                                        Kept{memory.data(), s}, s);
  return record(std::move(y), {x, weight, bias},
                [x, weight, bias, s, memory = std::move(memory)](const Tensor<T>&,
                                                                 const Tensor<T>& dy) mutable {
                  Tensor<T> dx = Tensor<T>::uninitialised(x.shape());
                  Tensor<T> dweight = Tensor<T>::uninitialised(weight.shape());
                  Tensor<T> dbias = Tensor<T>::uninitialised(bias.shape());
                  kernel::cls_self_attention_backward<T>(
                      x.value().data(), weight.value().data(), Kept{memory.data(), s}, dy.data(),
                      dx.data(), dweight.data(), dbias.data(), s);
                  x.add_gradient(std::move(dx));
                  weight.add_gradient(std::move(dweight));
                  bias.add_gradient(std::move(dbias));
                });
}

}  // namespace splitvit::inline SPLITVIT_BUILD
