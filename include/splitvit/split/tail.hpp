// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy
#include <cmath>      // isfinite

#include <splitvit/autograd/backward.hpp>    // backward
#include <splitvit/autograd/variable.hpp>    // NoGrad
#include <splitvit/core/bytes.hpp>           // ByteReader
#include <splitvit/core/error.hpp>           // Reason, WireError
#include <splitvit/core/state.hpp>           // show_state
#include <splitvit/nn/part.hpp>              // Part
#include <splitvit/split/cut.hpp>            // CutReceiver, StepId
#include <splitvit/split/messages.hpp>       // BackwardMessage, ForwardMessage
#include <splitvit/wire/tensor_payload.hpp>  // get_tensor

namespace splitvit::inline SPLITVIT_BUILD::split {

/// What a client computes that has the last part of the model, too, and keeps its labels: it takes
/// the loss of what the server sends back. See Middle.
template <std::floating_point T>
class Tail {
 public:
  /// With the codec of the first cut.
  Tail(codec::AnyCodec<T> codec, std::uint64_t seed) : receiver_{std::move(codec), seed} {}

  /// Keeps what only this party is to know, and takes the labels out of the message.
  void keep(ForwardMessage& message) {
    kept_ = message;
    kept_.token_sizes = kept_.encoded = {};  // borrowed
    labels_.assign(message.labels.begin(), message.labels.end());
    token_sizes_.assign(message.token_sizes.begin(), message.token_sizes.end());
    message.labels = {};
  }

  /// Computes the loss of the kept labels from the tokens that the server has encoded, and the
  /// gradients of the tail. Returns the payload of the step's second message, which borrows from
  /// this until the next call.
  ///
  /// Errors  WireError for invalid bytes, or a loss that is not finite.
  std::span<const std::byte> backward(const StepId& id, const nn::Part<T>& part,
                                      std::span<const std::byte> encoded) {
    ForwardMessage message = kept_;
    message.labels = labels_;
    message.encoded = encoded;
    if (part.first == part.last) {  // only CLS came
      message.tokens = 1;
    } else {
      message.token_sizes = token_sizes_;
    }
    const auto came = receiver_.receive(id, part, message);
    const Variable<T> loss = came.loss(part);
    const auto value = static_cast<double>(loss.value()[0]);
    if (!std::isfinite(value)) throw WireError(Reason::not_finite, "the loss is not finite");
    splitvit::backward(loss);
    payload_.assign(BackwardMessage::header_bytes, std::byte{});
    receiver_.send(came, payload_);
    header_.clear();
    BackwardMessage{.loss = value}.put_header(header_);  // repeated, it has the same bytes
    std::ranges::copy(header_, payload_.begin());
    return payload_;
  }

  /// The class scores of so many samples from the answer to a question without labels.
  /// Shapes  -> (samples, classes).
  /// Errors  WireError for an answer of another length.
  Tensor<T> scores(const nn::Part<T>& part, std::span<const std::byte> answer,
                   Index samples) const {
    const NoGrad no_grad;
    const nn::VitConfig& vit = part.config;
    const Shape wanted{samples, part.first == part.last ? Index{1} : vit.tokens(), vit.dim};
    auto tokens = Tensor<T>::uninitialised(wanted);
    ByteReader in{answer, "tokens"};
    wire::get_tensor<T>(in, wanted, tokens.span(), "tokens");
    in.expect_end();
    return part.logits(Variable<T>{std::move(tokens)}).value();
  }

  void commit() noexcept { receiver_.commit(); }
  void discard() noexcept { receiver_.discard(); }
  /// See core/state.hpp.
  void each_state(auto&& see) { show_state(receiver_, see, "second_cut."); }

 private:
  CutReceiver<T> receiver_;
  ForwardMessage kept_;
  std::vector<std::byte> labels_, token_sizes_, payload_, header_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
