// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/codec/concepts.hpp>  // contexts, Decoded, encode, StraightThrough
#include <splitvit/core/options.hpp>    // describe
#include <splitvit/core/random.hpp>     // Rng
#include <splitvit/core/state.hpp>      // show_state
#include <splitvit/tensor/tensor.hpp>   // Tensor, TensorView

namespace splitvit::inline SPLITVIT_BUILD::codec {

/// Activations by `Up`, gradients by `Down`. Both must be straight-through.
///
/// Sent    Up's bytes for the activations, Down's for the gradient.
/// Grad    Straight-through, as Down writes it.
/// Errors  See Codec.
template <class Up, class Down>
struct TwoWay {
  Up up = {};
  Down down = {};

  std::string description() const { return describe(up) + "/" + describe(down); }

  /// `down` is told nothing: its budget is for the gradient's bytes alone.
  void set_frame(const MessageFrame& frame) { codec::set_frame(up, frame); }
  std::string log() const {
    const std::string of_up = log_of(up), of_down = log_of(down);
    return of_up.empty() && of_down.empty() ? "" : of_up + "/" + of_down;
  }

  template <std::floating_point T>
  SenderContext<Up, T> encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) {
    static_assert(StraightThrough<Up, T> && StraightThrough<Down, T>,
                  "TwoWay: a codec with a context must take both passes");
    return codec::encode<T>(up, x, out, rng);
  }

  template <std::floating_point T>
  Decoded<T, ReceiverContext<Up, T>> decode(std::span<const std::byte> in, const Shape& shape) {
    return codec::decode<T>(up, in, shape);
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient, const ReceiverContext<Up, T>&,
                       std::vector<std::byte>& out, Rng& rng) {
    codec::encode_gradient<T>(down, gradient, ReceiverContext<Down, T>{}, out, rng);
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const SenderContext<Up, T>&,
                            const Shape& shape) {
    return codec::decode_gradient<T>(down, in, SenderContext<Down, T>{}, shape);
  }

  /// See StateVisitor.
  void each_state(auto&& see) {
    show_state(up, see, "up.");
    show_state(down, see, "down.");
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
