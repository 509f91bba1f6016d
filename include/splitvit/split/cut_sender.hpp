// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point
#include <cstddef>   // byte
#include <cstdint>   // uint64_t
#include <span>      // span
#include <utility>   // move
#include <vector>    // vector

#include <splitvit/autograd/backward.hpp>              // backward
#include <splitvit/codec/any_codec.hpp>                // AnyCodec, AnyReceipt
#include <splitvit/codec/receipts.hpp>                 // saturated_values
#include <splitvit/compress/any_stage.hpp>             // AnyStage
#include <splitvit/compress/cut_batch.hpp>             // CutBatch, require_consistent
#include <splitvit/core/labels.hpp>                    // Labels
#include <splitvit/nn/part.hpp>                        // AtCut, Part
#include <splitvit/split/detail/revertible_codec.hpp>  // RevertibleCodec
#include <splitvit/split/messages.hpp>                 // ForwardMessage
#include <splitvit/split/step_id.hpp>                  // Purpose, StepId, draws
#include <splitvit/wire/labels.hpp>                    // put_labels

// CutSender: the sending end of a cut. It does no I/O. cut_receiver.hpp is the other end; a step
// without a link needs only these two.
//
//   const auto sent = sender.send(id, part, part.to_cut(images), labels, message);
//   const auto came = receiver.receive(id, next_part, message);
//   backward(came.loss(next_part)), receiver.send(came, gradient_bytes);
//   sender.receive(sent, gradient_bytes);
//
// Then commit() of both ends, once the gradients are applied, or discard().

namespace splitvit::split {

/// Stage and codec of one session. The encoder belongs to the part.
template <std::floating_point T>
class CutSender {
 public:
  /// What the backward pass of one forward message needs. Several may be pending.
  struct Pending {
    Variable<T> crossing;           ///< (B', N', w): what was encoded
    codec::AnyReceipt receipt;      ///< what the codec needs to decode the gradient
    Index samples = 0, tokens = 0;  ///< rows that were sent, and tokens in each of them
    Index saturated = 0;            ///< numbers that were too large for the codec
  };

  CutSender(compress::AnyStage<T> stage, codec::AnyCodec<T> codec, std::uint64_t seed = 0)
      : stage_{std::move(stage)}, codec_{std::move(codec)}, seed_{seed} {}

  const compress::AnyStage<T>& stage() const { return stage_; }
  const codec::AnyCodec<T>& codec() const { return codec_.codec(); }
  /// The token statistic that the stage requires; see Part::to_cut.
  kernel::TokenStatistic required_statistic() const { return stage_.required_statistic(); }

  /// Compresses and encodes what `part` has at its cut. `out` borrows from this sender, until the
  /// next call of send.
  ///
  /// Shapes  at_cut.tokens (B, N, D), labels: B rows.
  /// Errors  The errors of stage and codec; ShapeError if a stage returns an inconsistent batch.
  Pending send(const StepId& id, const nn::Part<T>& part, nn::AtCut<T> at_cut, const Labels& labels,
               ForwardMessage& out) {
    Rng rng = draws(seed_, Purpose::sending, id);
    const compress::CutBatch<T> batch =
        stage_(compress::CutBatch<T>{.tokens = std::move(at_cut.tokens),
                                     .cls_attention = std::move(at_cut.cls_attention),
                                     .labels = labels,
                                     .statistics = std::move(at_cut.statistics)},
               rng);
    require_consistent("send", batch);
    Pending pending{.crossing = part.encode(batch.tokens),
                    .receipt = {},
                    .samples = batch.samples(),
                    .tokens = batch.token_count()};
    encoded_.clear();
    pending.receipt = codec_.in_step().encode(pending.crossing.value().view(), encoded_, rng);
    pending.saturated = codec::saturated_values(pending.receipt);
    label_bytes_.clear();
    wire::put_labels(batch.labels, part.config.classes, label_bytes_);
    put_token_sizes(batch.token_sizes, token_sizes_);
    out = {.samples = pending.samples,
           .tokens = pending.tokens,
           .sizes = batch.sizes,
           .token_sizes = token_sizes_,
           .labels = label_bytes_,
           .encoded = encoded_};
    return pending;
  }

  /// The gradient at pending.crossing.
  ///
  /// Errors  WireError for bytes that the codec refuses.
  Tensor<T> decode(const Pending& pending, std::span<const std::byte> encoded) {
    return codec_.in_step().template decode_gradient<T>(encoded, pending.receipt,
                                                        pending.crossing.shape());
  }
  /// Decodes the gradient and computes the gradients of the part's parameters.
  void receive(const Pending& pending, std::span<const std::byte> encoded) {
    backward(pending.crossing, decode(pending, encoded));
  }

  /// Keeps the codec's state after the step, or restores the state before it.
  void commit() { codec_.commit(); }
  void discard() { codec_.discard(); }

  /// See core/state.hpp.
  void each_state(auto&& see) { codec_.each_state(see); }

 private:
  compress::AnyStage<T> stage_;
  detail::RevertibleCodec<T> codec_;
  std::uint64_t seed_;
  std::vector<std::byte> encoded_, label_bytes_, token_sizes_;  // of the message being sent
};

}  // namespace splitvit::split
