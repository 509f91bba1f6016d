// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/error.hpp>          // Reason, WireError
#include <splitvit/core/state.hpp>          // show_state
#include <splitvit/nn/part.hpp>             // Part
#include <splitvit/split/cut.hpp>           // CutReceiver, StepId
#include <splitvit/split/messages.hpp>      // BackwardMessage, ForwardMessage
#include <splitvit/split/token_sender.hpp>  // TokenSender

namespace splitvit::inline SPLITVIT_BUILD::split {

/// What a server computes that has the middle of a model: its client has the labels and takes the
/// loss. A step has two messages: activations, which the answer takes on to the second cut, and
/// their gradient, whose answer is the gradient at the first cut. No label comes. See Tail.
template <std::floating_point T>
class Middle {
 public:
  /// With the codec of the first cut.
  Middle(codec::AnyCodec<T> codec, std::uint64_t seed) : sender_{std::move(codec), seed} {}

  /// Whether the next message of the step is a gradient.
  bool awaits_gradient() const { return under_way_.has_value(); }

  /// Appends the encoded tokens at the second cut.
  /// Errors  WireError (malformed) for labels, or a message that wants no gradient.
  void forward(const StepId& id, const nn::Part<T>& part, CutReceiver<T>& receiver,
               const ForwardMessage& message, std::vector<std::byte>& reply) {
    if (!message.labels.empty() || !message.wants_gradient)
      throw WireError(Reason::malformed,
                      "forward: labels or a flag came, though the client takes the loss");
    auto came = receiver.receive(id, part, message);
    auto sent = sender_.send(id, part.to_next(came.tokens, came.log_token_sizes), reply);
    under_way_.emplace(std::move(came), std::move(sent));
  }
  /// Computes the gradients from that at the second cut, and appends the encoded one at the first.
  /// Returns the loss that the client has found.
  double backward(CutReceiver<T>& receiver, std::span<const std::byte> payload,
                  std::vector<std::byte>& reply) {
    const BackwardMessage message = BackwardMessage::read(payload);
    const auto [came, sent] = std::exchange(under_way_, std::nullopt).value();
    sender_.receive(sent, message.encoded);
    receiver.send(came, reply);
    return message.loss;
  }

  void commit() noexcept { sender_.commit(); }
  void discard() noexcept {
    under_way_.reset();
    sender_.discard();
  }
  /// See core/state.hpp.
  void each_state(auto&& see) { show_state(sender_, see, "second_cut."); }

 private:
  TokenSender<T> sender_;
  /// The first message of a step.
  std::optional<std::pair<typename CutReceiver<T>::Pending, typename TokenSender<T>::Pending>>
      under_way_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
