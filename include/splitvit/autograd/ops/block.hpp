// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/ops/attention.hpp>  // AttentionOutput, NeedWeights, data_of, require_bias
#include <splitvit/autograd/variable.hpp>       // Variable, record
#include <splitvit/kernel/block.hpp>            // block_forward, block_backward

namespace splitvit::inline SPLITVIT_BUILD {

/// The parameters of a block, in the order of kernel::BlockPart: weight and bias of norm1, qkv,
/// proj, norm2, fc1, fc2.
template <std::floating_point T>
using BlockVariables = std::array<Variable<T>, kernel::block_parts>;

using kernel::Checkpointing;

namespace detail {
template <class T>
kernel::BlockPointers<const T> values_of(const BlockVariables<T>& parameters) {
  kernel::BlockPointers<const T> pointers;
  for (std::size_t i = 0; i < pointers.size(); ++i) pointers[i] = parameters[i].value().data();
  return pointers;
}

/// Errors  ShapeError unless all shapes fit a block of `heads` heads.
template <class T>
kernel::BlockSizes require_block_shapes(const Variable<T>& x, const BlockVariables<T>& parameters,
                                        Index heads) {
  const Shape& shape = x.shape();
  const Shape& fc1 = parameters[kernel::fc1_weight].shape();
  if (shape.rank() != 3 || shape[2] < 1 || heads < 1 || shape[2] % heads != 0 || fc1.rank() != 2)
    throw ShapeError({"transformer_block: x ", shape, " in ", heads, " heads, fc1 ", fc1,
                      ": wanted (B, N, D) with D a multiple of the heads, and (hidden, D)"});
  const Index D = shape[2], hidden = fc1[0];
  const std::array<Shape, kernel::block_parts> wanted{
      Shape{D}, Shape{D}, Shape{3 * D, D},  Shape{3 * D},  Shape{D, D},      Shape{D},
      Shape{D}, Shape{D}, Shape{hidden, D}, Shape{hidden}, Shape{D, hidden}, Shape{D}};
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (parameters[i].shape() != wanted[i])
      throw ShapeError({"transformer_block: parameter ", i, " of 12 is ", parameters[i].shape(),
                        ", wanted ", wanted[i], " for x ", shape});
  return {.B = shape[0], .N = shape[1], .D = D, .H = heads, .hidden = hidden};
}
}  // namespace detail

/// A whole pre-norm block, faster than its parts: middle = x + proj(attention(qkv(norm1 x))), then
/// middle + fc2(gelu(fc1(norm2 middle))).
///
/// Shapes  x (B, N, D) -> y (B, N, D); bias, cls_attention and their units as for attention().
/// Grad    x and all parameters.
/// Errors  ShapeError.
template <std::floating_point T, class Stored = T>
AttentionOutput<T> transformer_block(const Variable<T>& x, const BlockVariables<T>& parameters,
                                     Index heads, T eps,
                                     NeedWeights need_weights = NeedWeights::none,
                                     Checkpointing checkpointing = Checkpointing::store,
                                     const Tensor<T>& bias = {}) {
  const kernel::BlockSizes s = detail::require_block_shapes(x, parameters, heads);
  detail::require_bias("transformer_block", bias, s.B, s.N);
  const auto& p = parameters;
  bool learns = false;
  for (const Variable<T>& parameter : p) learns = learns || parameter.requires_grad();

  Tensor<T> y = Tensor<T>::uninitialised(x.shape());
  Tensor<T> cls;
  if (need_weights == NeedWeights::cls) cls = Tensor<T>::uninitialised(Shape{s.B, s.N});
  Tensor<T> memory;
  if (grad_enabled() && (learns || x.requires_grad()))
    memory = Tensor<T>::uninitialised(
        Shape{s.pieces() * s.template stored_numbers<Stored>(checkpointing)});
  kernel::block_forward<T, Stored>(x.value().data(), detail::data_of(bias), detail::values_of(p),
                                   eps, y.data(), detail::data_of(cls), memory.data(),
                                   checkpointing, s);

  Variable<T> recorded = record(
      std::move(y), {x, p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10], p[11]},
      [x, bias, parameters, s, eps, learns, checkpointing, memory = std::move(memory)](
          const Tensor<T>&, Tensor<T> dy) mutable {
        std::array<Tensor<T>, kernel::block_parts> gradients;
        kernel::BlockPointers<T> pointers;
        for (std::size_t i = 0; learns && i < gradients.size(); ++i) {
          gradients[i] = Tensor<T>::uninitialised(parameters[i].shape());
          pointers[i] = gradients[i].data();
        }
        kernel::block_backward<T, Stored>(
            x.value().data(), detail::data_of(bias), dy.data(), memory.data(), checkpointing,
            detail::values_of(parameters), eps, dy.data(), learns ? &pointers : nullptr, s);
        x.add_gradient(std::move(dy));  // dx, in the same memory
        for (std::size_t i = 0; learns && i < gradients.size(); ++i)
          parameters[i].add_gradient(std::move(gradients[i]));
      });
  return {std::move(recorded), std::move(cls)};
}

SPLITVIT_ONCE(AttentionOutput<float> transformer_block<float, float>(
    const Variable<float>&, const BlockVariables<float>&, Index, float, NeedWeights, Checkpointing,
    const Tensor<float>&));

}  // namespace splitvit::inline SPLITVIT_BUILD
