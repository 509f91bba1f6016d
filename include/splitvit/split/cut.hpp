// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/backward.hpp>           // backward
#include <splitvit/autograd/ops/cross_entropy.hpp>  // cross_entropy, target_rows
#include <splitvit/codec/any_codec.hpp>             // AnyCodec, AnyContext, saturated_values
#include <splitvit/compress/any_stage.hpp>          // AnyStage
#include <splitvit/compress/cut_batch.hpp>          // CutBatch, require_consistent
#include <splitvit/core/error.hpp>                  // joined
#include <splitvit/core/labels.hpp>                 // Labels
#include <splitvit/core/random.hpp>                 // Rng
#include <splitvit/core/state.hpp>                  // show_state
#include <splitvit/nn/loss.hpp>                     // apply_sample_weights
#include <splitvit/nn/part.hpp>                     // AtCut, Part
#include <splitvit/split/messages.hpp>              // ForwardMessage, put_token_sizes, StepShare
#include <splitvit/wire/frame.hpp>                  // frame_header_bytes
#include <splitvit/wire/labels.hpp>                 // put_labels, read_labels
#include <splitvit/wire/steps.hpp>                  // step_number_bytes

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
  std::uint64_t seed() const { return seed_; }

  /// Random numbers for something else that happens to a message.
  Rng draws(const StepId& id, std::uint64_t purpose) const {
    return Rng{.seed = seed_}.at(purpose, id.step, (std::uint64_t{id.client} << 32) | id.micro);
  }

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
  Rng draws(const StepId& id) const { return draws(id, purpose_); }

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
    bool wants_gradient = true;     ///< whether the answer has one
  };

  CutSender(compress::AnyStage<T> stage, codec::AnyCodec<T> codec, std::uint64_t seed = 0)
      : detail::CutEnd<T>{std::move(codec), seed, 0x73746167 /* "stag" */},
        stage_{std::move(stage)},
        evaluation_stage_{stage_.in_evaluation()} {}

  const compress::AnyStage<T>& stage() const { return stage_; }
  /// What `evaluate` applies.
  const compress::AnyStage<T>& evaluation_stage() const { return evaluation_stage_; }
  /// The token statistic that the stage requires; see Part::to_cut.
  kernel::TokenStatistic required_statistic() const { return stage_.required_statistic(); }

  /// Compresses and encodes what `part` has at its cut. `out` borrows from this until the next one.
  ///
  /// Shapes  at_cut.tokens (B, N, D), labels: B rows.
  /// Errors  The errors of stage and codec; ShapeError if a stage returns an inconsistent batch.
  Pending send(const StepId& id, const nn::Part<T>& part, nn::AtCut<T> at_cut, const Labels& labels,
               ForwardMessage& out, bool wants_gradient = true, const StepShare& share = {}) {
    Pending pending = encode(this->in_step(), this->draws(id), stage_, part, std::move(at_cut),
                             labels, out, share);
    out.wants_gradient = pending.wants_gradient = wants_gradient;
    return pending;
  }

  /// The same for an evaluation as deployed: by the stages that keep all samples, and by a copy of
  /// the codec as it is after the last step, which is then thrown away. `id` has the number of that
  /// step. No step is under way.
  ///
  /// Errors  Those of send; std::logic_error if a stage makes samples fewer.
  void evaluate(const StepId& id, const nn::Part<T>& part, nn::AtCut<T> at_cut,
                const Labels& labels, ForwardMessage& out) {
    codec::AnyCodec<T> copy = this->codec();
    encode(copy, this->draws(id, for_evaluation), evaluation_stage_, part, std::move(at_cut),
           labels, out);
    if (out.samples != labels.row_count())
      throw std::logic_error(
          joined({"evaluate: ", evaluation_stage_.description(), " made ", out.samples, " of ",
                  labels.row_count(), " samples; it needs an in_evaluation() that keeps all"}));
    out.is_coded = true;
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
  static constexpr std::uint64_t for_evaluation = 0x6576616c;  // "eval"

  Pending encode(codec::AnyCodec<T>& codec, Rng rng, const compress::AnyStage<T>& stage,
                 const nn::Part<T>& part, nn::AtCut<T> at_cut, const Labels& labels,
                 ForwardMessage& out, const StepShare& share = {}) {
    const compress::CutBatch<T> batch =
        stage(compress::CutBatch<T>{.tokens = std::move(at_cut.tokens),
                                    .cls_attention = std::move(at_cut.cls_attention),
                                    .labels = labels,
                                    .statistics = std::move(at_cut.statistics)},
              rng);
    require_consistent("send", batch);
    Pending pending{.crossing = part.encode(batch.tokens),
                    .context = {},
                    .samples = batch.samples(),
                    .tokens = batch.token_count()};
    label_bytes_.clear();
    wire::put_labels(batch.labels, part.config.classes, label_bytes_);
    put_token_sizes(batch.token_sizes, token_sizes_);
    constexpr std::size_t numbered = wire::frame_header_bytes + wire::step_number_bytes;
    codec.set_frame(
        {.uncompressed = static_cast<std::uint64_t>(labels.row_count() * part.config.tokens() *
                                                    part.config.dim) *
                         sizeof(T),
         .others = numbered + ForwardMessage::header_bytes +
                   (share.is_part() ? ForwardMessage::share_bytes : 0) + 2 * batch.sizes.size() +
                   token_sizes_.size() + label_bytes_.size(),
         .others_of_reply = numbered + BackwardMessage::header_bytes});
    encoded_.clear();
    pending.context = codec.encode(pending.crossing.value().view(), encoded_, rng);
    pending.saturated = codec::saturated_values(pending.context);
    out = {.samples = pending.samples,
           .tokens = pending.tokens,
           .sizes = batch.sizes,
           .token_sizes = token_sizes_,
           .labels = label_bytes_,
           .encoded = encoded_,
           .share = share};
    return pending;
  }

  compress::AnyStage<T> stage_, evaluation_stage_;
  std::vector<std::byte> encoded_, label_bytes_, token_sizes_;  // of the message being sent
};

/// The receiving end: the codec of one session. The decoder belongs to the part.
template <std::floating_point T>
class CutReceiver : public detail::CutEnd<T> {
 public:
  /// One decoded forward message. Several may be pending.
  struct Pending {
    StepId id;
    Variable<T> tokens;  ///< (B', N', w): the leaf that collects the gradient, if one is wanted
    Tensor<T> log_token_sizes;  ///< (B', N') or empty, see Part::to_cut
    /// (B', C): class probabilities, times the weights of the rows and of the part of the step;
    /// empty for a part without classifier.
    Tensor<T> targets;
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
    Tensor<T> targets;  // none where another part takes the loss
    if (part.classifier) {
      targets =
          target_rows<T>(wire::read_labels(message.labels, message.samples, classes), classes);
      nn::apply_sample_weights(targets, std::span<const Index>{message.sizes});
    }
    if (message.share.is_part())
      for (T& target : targets.span()) target *= static_cast<T>(message.share.weight());
    return {.id = id,
            .tokens = message.wants_gradient ? Variable<T>::parameter(std::move(decoded.values))
                                             : Variable<T>{std::move(decoded.values)},
            .log_token_sizes = message.template log_token_sizes<T>(),
            .targets = std::move(targets),
            .context = std::move(decoded.context)};
  }

  /// Decodes an evaluation message that the codec wrote, by a copy of the codec as it is after the
  /// last step. Errors  WireError for invalid bytes.
  Tensor<T> evaluate(const nn::Part<T>& part, const ForwardMessage& message) const {
    codec::AnyCodec<T> copy = this->codec();
    return copy.template decode<T>(message.encoded, message.shape(part.input_width())).values;
  }

  /// Appends the encoded gradient of pending.tokens. Errors  WireError (not_finite).
  void send(const Pending& pending, std::vector<std::byte>& out) {
    Rng rng = this->draws(pending.id);
    this->in_step().encode_gradient(pending.tokens.gradient().view(), pending.context, out, rng);
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
