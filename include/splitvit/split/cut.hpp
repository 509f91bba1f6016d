// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/backward.hpp>           // backward
#include <splitvit/autograd/ops/cross_entropy.hpp>  // cross_entropy, target_rows
#include <splitvit/codec/any_codec.hpp>             // AnyCodec, AnyContext, saturated_values
#include <splitvit/compress/any_stage.hpp>          // AnyStage
#include <splitvit/compress/cut_batch.hpp>          // CutBatch, require_consistent
#include <splitvit/core/labels.hpp>                 // Labels
#include <splitvit/core/random.hpp>                 // Rng
#include <splitvit/core/state.hpp>                  // show_state
#include <splitvit/nn/loss.hpp>                     // apply_sample_weights
#include <splitvit/nn/part.hpp>                     // AtCut, Part
#include <splitvit/split/messages.hpp>              // ForwardMessage, put_token_sizes
#include <splitvit/wire/labels.hpp>                 // put_labels, read_labels

// CutSender and CutReceiver: the two ends of a cut. They do no I/O. A step without a link:
//
//   const auto sent = sender.send(id, part, part.to_cut(images), labels, message);
//   const auto came = receiver.receive(id, next_part, message);
//   backward(came.loss(next_part)), receiver.send(came, gradient_bytes);
//   sender.receive(sent, gradient_bytes);
//
// Then commit() of both ends, once the gradients are applied, or discard().

namespace splitvit::inline SPLITVIT_BUILD::split {

/// Numbers a forward message and its answer. Random draws depend only on it and the seed.
struct StepId {
  std::uint32_t client = 0;  ///< number of the client
  std::uint64_t step = 0;    ///< of this client, from 1
  std::uint32_t micro = 0;   ///< part of the step, from 0

  friend bool operator==(const StepId&, const StepId&) = default;
};

namespace detail {
/// What both ends have: a session's codec, whose state changes only with applied steps, and seed.
template <std::floating_point T>
class CutEnd {
 public:
  const codec::AnyCodec<T>& codec() const { return committed_; }

  /// Keeps the codec's state after the step.
  void commit() noexcept {
    if (under_way_) std::swap(committed_, moving_);
    under_way_ = false;
  }
  /// Restores the codec's state before the step.
  void discard() noexcept { under_way_ = false; }

  /// See core/state.hpp.
  void each_state(auto&& see) { show_state(committed_, see, "codec."); }

 protected:
  CutEnd(codec::AnyCodec<T> codec, std::uint64_t seed, std::uint64_t purpose)
      : committed_{std::move(codec)}, moving_{committed_}, seed_{seed}, purpose_{purpose} {}

  /// The codec to use within a step: a copy, which commit keeps. Copying reuses memory.
  codec::AnyCodec<T>& in_step() {
    if (!under_way_) moving_ = committed_;
    under_way_ = true;
    return moving_;
  }
  /// The random numbers of one message. They do not depend on earlier draws.
  Rng draws(const StepId& id) const {
    return Rng{.seed = seed_}.at(purpose_, id.step, (std::uint64_t{id.client} << 32) | id.micro);
  }

 private:
  codec::AnyCodec<T> committed_, moving_;
  bool under_way_ = false;
  std::uint64_t seed_, purpose_;
};
}  // namespace detail

/// The sending end: stage and codec of one session. The encoder belongs to the part.
template <std::floating_point T>
class CutSender : public detail::CutEnd<T> {
 public:
  /// What the backward pass of one forward message needs. Several may be pending.
  struct Pending {
    Variable<T> crossing;           ///< (B', N', w): what was encoded
    codec::AnyContext context;      ///< what the codec needs to decode the gradient
    Index samples = 0, tokens = 0;  ///< rows that were sent, and tokens in each of them
    Index saturated = 0;            ///< numbers that were too large for the codec
  };

  CutSender(compress::AnyStage<T> stage, codec::AnyCodec<T> codec, std::uint64_t seed = 0)
      : detail::CutEnd<T>{std::move(codec), seed, 0x73746167 /* "stag" */},
        stage_{std::move(stage)} {}

  const compress::AnyStage<T>& stage() const { return stage_; }
  /// The token statistic that the stage requires; see Part::to_cut.
  kernel::TokenStatistic required_statistic() const { return stage_.required_statistic(); }

  /// Compresses and encodes what `part` has at its cut. `out` borrows from this until the next one.
  ///
  /// Shapes  at_cut.tokens (B, N, D), labels: B rows.
  /// Errors  The errors of stage and codec; ShapeError if a stage returns an inconsistent batch.
  Pending send(const StepId& id, const nn::Part<T>& part, nn::AtCut<T> at_cut, const Labels& labels,
               ForwardMessage& out) {
    Rng rng = this->draws(id);
    const compress::CutBatch<T> batch =
        stage_(compress::CutBatch<T>{.tokens = std::move(at_cut.tokens),
                                     .cls_attention = std::move(at_cut.cls_attention),
                                     .labels = labels,
                                     .statistics = std::move(at_cut.statistics)},
               rng);
    require_consistent("send", batch);
    Pending pending{.crossing = part.encode(batch.tokens),
                    .context = {},
                    .samples = batch.samples(),
                    .tokens = batch.token_count()};
    encoded_.clear();
    pending.context = this->in_step().encode(pending.crossing.value().view(), encoded_, rng);
    pending.saturated = codec::saturated_values(pending.context);
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

  /// The gradient at pending.crossing. Errors  WireError for bytes that the codec refuses.
  Tensor<T> decode(const Pending& pending, std::span<const std::byte> encoded) {
    return this->in_step().template decode_gradient<T>(encoded, pending.context,
                                                       pending.crossing.shape());
  }
  /// Decodes the gradient and computes the gradients of the part's parameters.
  void receive(const Pending& pending, std::span<const std::byte> encoded) {
    backward(pending.crossing, decode(pending, encoded));
  }

 private:
  compress::AnyStage<T> stage_;
  std::vector<std::byte> encoded_, label_bytes_, token_sizes_;  // of the message being sent
};

/// The receiving end: the codec of one session. The decoder belongs to the part.
template <std::floating_point T>
class CutReceiver : public detail::CutEnd<T> {
 public:
  /// One decoded forward message. Several may be pending.
  struct Pending {
    StepId id;
    Variable<T> tokens;         ///< (B', N', w): the leaf that collects the gradient
    Tensor<T> log_token_sizes;  ///< (B', N') or empty, see Part::to_cut
    Tensor<T> targets;          ///< (B', C): class probabilities, times the weights of the rows
    codec::AnyContext context;  ///< what the codec needs to encode the gradient

    /// The loss of a part that ends with the classifier.
    Variable<T> loss(const nn::Part<T>& part) const {
      return cross_entropy(part.logits(tokens, log_token_sizes), targets);
    }
  };

  explicit CutReceiver(codec::AnyCodec<T> codec, std::uint64_t seed = 0)
      : detail::CutEnd<T>{std::move(codec), seed, 0x636f6465 /* "code" */} {}

  /// Decodes a forward message for `part`. Errors  WireError for invalid bytes.
  Pending receive(const StepId& id, const nn::Part<T>& part, const ForwardMessage& message) {
    auto decoded =
        this->in_step().template decode<T>(message.encoded, message.shape(part.input_width()));
    const Index classes = part.config.classes;
    Tensor<T> targets =
        target_rows<T>(wire::read_labels(message.labels, message.samples, classes), classes);
    nn::apply_sample_weights(targets, std::span<const Index>{message.sizes});
    return {.id = id,
            .tokens = Variable<T>::parameter(std::move(decoded.values)),
            .log_token_sizes = message.template log_token_sizes<T>(),
            .targets = std::move(targets),
            .context = std::move(decoded.context)};
  }

  /// Appends the encoded gradient of pending.tokens. Errors  WireError (not_finite).
  void send(const Pending& pending, std::vector<std::byte>& out) {
    Rng rng = this->draws(pending.id);
    this->in_step().encode_gradient(pending.tokens.gradient().view(), pending.context, out, rng);
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
