// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/variable.hpp>  // Variable, record
#include <splitvit/kernel/attention.hpp>   // attention_forward, cls_attention_forward, ...

namespace splitvit::inline SPLITVIT_BUILD {

/// Which rows of its probabilities attention() returns beside its output.
enum class NeedWeights {
  none,
  cls,  ///< row 0: the attention of CLS to each token
};

template <std::floating_point T>
struct AttentionOutput {
  Variable<T> y;            ///< (B, N, D)
  Tensor<T> cls_attention;  ///< (B, N), or shape (0) when not asked for
};

namespace detail {
/// Errors  ShapeError unless qkv is a (B, N, 3 D), and `heads` divides D.
inline kernel::AttentionSizes attention_sizes(const char* operation, const Shape& qkv,
                                              Index heads) {
  if (qkv.rank() != 3 || heads < 1 || qkv[2] == 0 || qkv[2] % (3 * heads) != 0)
    throw ShapeError({operation, ": qkv ", qkv, " in ", heads,
                      " heads: wanted (B, N, 3 D) with D a multiple of the heads"});
  return {.B = qkv[0], .N = qkv[1], .D = qkv[2] / 3, .H = heads};
}

/// Errors  ShapeError unless bias is empty or (B, N).
template <class T>
void require_bias(const char* operation, const Tensor<T>& bias, Index B, Index N) {
  if (!bias.empty() && bias.shape() != Shape{B, N})
    throw ShapeError({operation, ": bias ", bias.shape(), ", wanted ", Shape{B, N}});
}

/// Null for an empty tensor.
auto* data_of(auto& optional) { return optional.empty() ? nullptr : optional.data(); }
}  // namespace detail

/// softmax(q k^T / sqrt d) v in several heads.
///
/// Shapes  qkv (B, N, 3 D): all queries, all keys, all values, each head by head -> y (B, N, D).
///         bias (B, N) or empty: added to the scores of each key.
/// Units   cls_attention: probabilities of token 0, mean over heads, each row sums to 1; it
///         carries no gradient.
/// Grad    qkv.
/// Errors  ShapeError unless `heads` divides D and the bias fits.
template <std::floating_point T>
AttentionOutput<T> attention(const Variable<T>& qkv, Index heads,
                             NeedWeights need_weights = NeedWeights::none,
                             const Tensor<T>& bias = {}) {
  const kernel::AttentionSizes s = detail::attention_sizes("attention", qkv.shape(), heads);
  detail::require_bias("attention", bias, s.B, s.N);
  Tensor<T> y = Tensor<T>::uninitialised(Shape{s.B, s.N, s.D});
  Tensor<T> log_sums = Tensor<T>::uninitialised(Shape{s.B, s.H, s.N});
  Tensor<T> cls;
  if (need_weights == NeedWeights::cls) cls = Tensor<T>::uninitialised(Shape{s.B, s.N});
  kernel::attention_forward(qkv.value().data(), y.data(), log_sums.data(), detail::data_of(cls), s,
                            detail::data_of(bias));
  Variable<T> recorded = record(
      std::move(y), {qkv},
      [qkv, s, bias, log_sums = std::move(log_sums)](const Tensor<T>& out, const Tensor<T>& dy) {
        qkv.add_gradient_from([&](Tensor<T>& dqkv) {
          kernel::attention_backward(qkv.value().data(), out.data(), log_sums.data(), dy.data(),
                                     dqkv.data(), s, detail::data_of(bias));
        });
      });
  return {std::move(recorded), std::move(cls)};
}

/// Row 0 of what attention() returns, with 1 / N of its work.
///
/// Shapes  qkv (B, N, 3 D), N >= 1 -> (B, D); bias (B, N) or empty.
/// Grad    qkv; zero for the queries of all other tokens.
/// Errors  ShapeError unless `heads` divides D and the bias fits.
template <std::floating_point T>
Variable<T> cls_attention(const Variable<T>& qkv, Index heads, const Tensor<T>& bias = {}) {
  const kernel::AttentionSizes s = detail::attention_sizes("cls_attention", qkv.shape(), heads);
  if (s.N == 0) throw ShapeError({"cls_attention: qkv ", qkv.shape(), " has no token 0"});
  detail::require_bias("cls_attention", bias, s.B, s.N);
  Tensor<T> y = Tensor<T>::uninitialised(Shape{s.B, s.D});
  Tensor<T> probabilities = Tensor<T>::uninitialised(Shape{s.B, s.H, s.N});
  kernel::cls_attention_forward(qkv.value().data(), y.data(), probabilities.data(), s,
                                detail::data_of(bias));
  return record(
      std::move(y), {qkv},
      [qkv, s, probabilities = std::move(probabilities)](const Tensor<T>&, const Tensor<T>& dy) {
        qkv.add_gradient_from([&](Tensor<T>& dqkv) {
          kernel::cls_attention_backward(qkv.value().data(), probabilities.data(), dy.data(),
                                         dqkv.data(), s);
        });
      });
}

SPLITVIT_ONCE(AttentionOutput<float> attention(const Variable<float>&, Index, NeedWeights,
                                               const Tensor<float>&));
SPLITVIT_ONCE(Variable<float> cls_attention(const Variable<float>&, Index, const Tensor<float>&));

}  // namespace splitvit::inline SPLITVIT_BUILD
