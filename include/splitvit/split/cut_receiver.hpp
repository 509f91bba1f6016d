// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point
#include <cstddef>   // byte
#include <cstdint>   // uint64_t
#include <span>      // span
#include <utility>   // move
#include <vector>    // vector

#include <splitvit/autograd/ops/cross_entropy.hpp>     // cross_entropy, target_rows
#include <splitvit/codec/any_codec.hpp>                // AnyCodec, AnyReceipt
#include <splitvit/nn/loss.hpp>                        // apply_sample_weights
#include <splitvit/nn/part.hpp>                        // Part
#include <splitvit/split/detail/revertible_codec.hpp>  // RevertibleCodec
#include <splitvit/split/messages.hpp>                 // ForwardMessage
#include <splitvit/split/step_id.hpp>                  // Purpose, StepId, draws
#include <splitvit/wire/labels.hpp>                    // read_labels

// CutReceiver: the receiving end of a cut. It does no I/O; see cut_sender.hpp.

namespace splitvit::split {

/// The codec of one session. The decoder belongs to the part.
template <std::floating_point T>
class CutReceiver {
 public:
  /// One decoded forward message. Several may be pending.
  struct Pending {
    StepId id;
    Variable<T> tokens;         ///< (B', N', w): the leaf that collects the gradient
    Tensor<T> log_token_sizes;  ///< (B', N') or empty, see Part::to_cut
    Tensor<T> targets;          ///< (B', C): class probabilities, times the weights of the rows
    codec::AnyReceipt receipt;  ///< what the codec needs to encode the gradient

    /// The loss of a part that ends with the classifier.
    Variable<T> loss(const nn::Part<T>& part) const {
      return cross_entropy(part.logits(tokens, log_token_sizes), targets);
    }
  };

  explicit CutReceiver(codec::AnyCodec<T> codec, std::uint64_t seed = 0)
      : codec_{std::move(codec)}, seed_{seed} {}

  const codec::AnyCodec<T>& codec() const { return codec_.codec(); }

  /// Decodes a forward message for `part`.
  ///
  /// Errors  WireError for invalid bytes.
  Pending receive(const StepId& id, const nn::Part<T>& part, const ForwardMessage& message) {
    auto decoded =
        codec_.in_step().template decode<T>(message.encoded, message.shape(part.input_width()));
    Tensor<T> targets =
        target_rows<T>(wire::read_labels(message.labels, message.samples, part.config.classes),
                       part.config.classes);
    nn::apply_sample_weights(targets, std::span<const Index>{message.sizes});
    return {.id = id,
            .tokens = Variable<T>::parameter(std::move(decoded.values)),
            .log_token_sizes = message.template log_token_sizes<T>(),
            .targets = std::move(targets),
            .receipt = std::move(decoded.receipt)};
  }

  /// Appends the encoded gradient of pending.tokens, after backward() of the loss.
  ///
  /// Errors  WireError (not_finite).
  void send(const Pending& pending, std::vector<std::byte>& out) {
    Rng rng = draws(seed_, Purpose::answering, pending.id);
    codec_.in_step().encode_gradient(pending.tokens.gradient().view(), pending.receipt, out, rng);
  }

  /// Keeps the codec's state after the step, or restores the state before it.
  void commit() { codec_.commit(); }
  void discard() { codec_.discard(); }

  /// See core/state.hpp.
  void each_state(auto&& see) { codec_.each_state(see); }

 private:
  detail::RevertibleCodec<T> codec_;
  std::uint64_t seed_;
};

}  // namespace splitvit::split
