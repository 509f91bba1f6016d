// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point
#include <cstddef>   // byte
#include <span>      // span
#include <string>    // string
#include <vector>    // vector

#include <splitvit/codec/concepts.hpp>  // Decoded, receipts
#include <splitvit/codec/receipts.hpp>  // StraightThrough
#include <splitvit/core/describe.hpp>   // describe
#include <splitvit/core/random.hpp>     // Rng
#include <splitvit/core/state.hpp>      // show_state
#include <splitvit/tensor/tensor.hpp>   // Tensor, TensorView

// TwoWay: one codec for activations, another one for gradients.

namespace splitvit::codec {

/// Activations by `Up`, gradients by `Down`. Both must be straight-through: one that remembers
/// which values it sent cannot leave the gradient to another.
///
/// Sent    Up's bytes for the activations, Down's for the gradient.
/// Grad    Straight-through, as Down writes it.
/// Errors  Those of the two.
template <class Up, class Down>
struct TwoWay {
  Up up = {};
  Down down = {};

  template <std::floating_point T>
  SenderReceipt<Up, T> encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) {
    static_assert(StraightThrough<Up, T> && StraightThrough<Down, T>,
                  "TwoWay: a codec that remembers what it sent must take both ways");
    return up.encode(x, out, rng);
  }

  template <std::floating_point T>
  Decoded<T, ReceiverReceipt<Up, T>> decode(std::span<const std::byte> in, const Shape& shape) {
    return up.template decode<T>(in, shape);
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient, const ReceiverReceipt<Up, T>&,
                       std::vector<std::byte>& out, Rng& rng) {
    down.encode_gradient(gradient, ReceiverReceipt<Down, T>{}, out, rng);
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const SenderReceipt<Up, T>&,
                            const Shape& shape) {
    return down.template decode_gradient<T>(in, SenderReceipt<Down, T>{}, shape);
  }

  /// What it does, on one line.
  std::string description() const {
    return "two_way up=(" + describe(up) + ") down=(" + describe(down) + ")";
  }

  /// See StateVisitor.
  void each_state(auto&& see) {
    show_state(up, see, "up.");
    show_state(down, see, "down.");
  }
};

}  // namespace splitvit::codec
