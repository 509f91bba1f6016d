// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/backward.hpp>  // backward
#include <splitvit/codec/any_codec.hpp>    // AnyCodec, AnyContext
#include <splitvit/nn/part.hpp>            // Part
#include <splitvit/split/cut.hpp>          // CutEnd, StepId
#include <splitvit/split/messages.hpp>     // BackwardMessage
#include <splitvit/wire/frame.hpp>         // frame_header_bytes
#include <splitvit/wire/steps.hpp>         // step_number_bytes

namespace splitvit::inline SPLITVIT_BUILD::split {

/// The sending end of a cut where no stage acts: a server's, whose client has the labels and the
/// last part of the model. The receiving end is a CutReceiver.
template <std::floating_point T>
class TokenSender : public detail::CutEnd<T> {
 public:
  /// What the backward pass of one message needs.
  struct Pending {
    Variable<T> tokens;         ///< that were encoded
    codec::AnyContext context;  ///< what the codec needs to decode the gradient
  };

  explicit TokenSender(codec::AnyCodec<T> codec, std::uint64_t seed = 0)
      : detail::CutEnd<T>{std::move(codec), seed, 0x746f6b65 /* "toke" */} {}

  /// Appends the encoded tokens. Errors  WireError (not_finite).
  Pending send(const StepId& id, Variable<T> tokens, std::vector<std::byte>& out) {
    codec::AnyCodec<T>& codec = this->in_step();
    constexpr std::uint64_t others =
        wire::frame_header_bytes + wire::step_number_bytes + BackwardMessage::header_bytes;
    codec.set_frame({.uncompressed = tokens.value().span().size_bytes(),
                     .others = others,
                     .others_of_reply = others});
    Rng rng = this->draws(id);
    codec::AnyContext context = codec.encode(tokens.value().view(), out, rng);
    return {std::move(tokens), std::move(context)};
  }

  /// Decodes the gradient of the tokens, and computes those of the part's parameters.
  /// Errors  WireError for bytes that the codec refuses.
  void receive(const Pending& pending, std::span<const std::byte> encoded) {
    backward(pending.tokens, this->in_step().template decode_gradient<T>(encoded, pending.context,
                                                                         pending.tokens.shape()));
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
