// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // copy_constructible, movable, same_as
#include <cstddef>   // byte
#include <span>      // span
#include <utility>   // declval
#include <vector>    // vector

#include <splitvit/core/random.hpp>    // Rng
#include <splitvit/core/shape.hpp>     // Shape
#include <splitvit/tensor/tensor.hpp>  // Tensor, TensorView

// Codec: what a type must offer to decide how the tensor at the cut becomes bytes, and its
// gradient on the way back.

namespace splitvit::codec {

/// What decode returns: the tensor, and what the receiver must remember until the gradient
/// goes back.
template <class T, class Receipt>
struct Decoded {
  Tensor<T> values;
  Receipt receipt;
};

/// For codecs with nothing to remember.
struct NoReceipt {};

/// What `encode` of codec C leaves with the sender.
template <class C, class T>
using SenderReceipt = decltype(std::declval<C&>().encode(std::declval<TensorView<const T>>(),
                                                         std::declval<std::vector<std::byte>&>(),
                                                         std::declval<Rng&>()));

/// What `decode` of codec C leaves with the receiver.
template <class C, class T>
using ReceiverReceipt = decltype(std::declval<C&>()
                                     .template decode<T>(std::declval<std::span<const std::byte>>(),
                                                         std::declval<const Shape&>())
                                     .receipt);

/// Writes the tensor that crosses the cut as bytes, and its gradient on the way back.
///
///   client                                     server
///   codec.encode(x, out, rng) -> sent
///                                              codec.decode<T>(in, shape) -> {x', received}
///                                              codec.encode_gradient(g', received, out, rng)
///   codec.decode_gradient<T>(in, sent, shape) -> g
///
///   expression       meaning
///   encode           appends x as bytes to out; returns the sender's receipt
///   decode           x', of the announced shape: that of x. decode of encode is x up to the
///                    codec's stated error; equal bytes give equal bits everywhere
///   encode_gradient  appends g', the gradient at x', as bytes to out
///   decode_gradient  g, the gradient at x, of the announced shape
///
/// A receipt is what one side remembers from its forward to its backward call; it is never
/// sent, and belongs to one step. Random numbers come only from rng. Bytes are hostile: both
/// decoders accept them whole or throw WireError, and take no memory beyond the announced shape
/// before they know. NaN and infinity are refused with WireError (not_finite) on both sides;
/// out is then left as it was.
///
/// A codec that remembers something from step to step, its state, has encoders that are not
/// const. State is part of the codec's value: a copy has its own. Two equal codecs write equal
/// bytes for equal numbers and an equal rng, so a caller who may have to repeat a step copies the
/// codec first and goes back to the copy. A codec with state offers
///
///   codec.each_state(see)    calls see(name, value) for all of it; see core/state.hpp
///
/// and a codec that holds other codecs shows theirs. Without it a codec counts as one without
/// state. Options are no state, nor is what a codec only keeps to save time, such as C3's keys.
template <class C, class T>
concept Codec = std::copy_constructible<C> &&
                requires(C& codec, TensorView<const T> x, std::vector<std::byte>& out, Rng& rng,
                         std::span<const std::byte> in, const Shape& shape,
                         const SenderReceipt<C, T>& sent, const ReceiverReceipt<C, T>& received) {
                  { codec.encode(x, out, rng) } -> std::movable;
                  {
                    codec.template decode<T>(in, shape)
                  } -> std::same_as<Decoded<T, ReceiverReceipt<C, T>>>;
                  { codec.encode_gradient(x, received, out, rng) } -> std::same_as<void>;
                  { codec.template decode_gradient<T>(in, sent, shape) } -> std::same_as<Tensor<T>>;
                };

}  // namespace splitvit::codec
