// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy, max
#include <cmath>      // isfinite
#include <memory>     // shared_ptr
#include <numeric>    // accumulate

#include <splitvit/autograd/backward.hpp>    // backward
#include <splitvit/autograd/variable.hpp>    // NoGrad
#include <splitvit/codec/float32.hpp>        // Float32
#include <splitvit/core/error.hpp>           // Reason, WireError
#include <splitvit/core/labels.hpp>          // Labels
#include <splitvit/split/cut.hpp>            // CutReceiver, StepId
#include <splitvit/split/learner.hpp>        // Learner
#include <splitvit/split/messages.hpp>       // BackwardMessage, ForwardMessage, Score, StepShare
#include <splitvit/split/middle.hpp>         // Middle
#include <splitvit/split/report.hpp>         // Evaluation, StepReport, Timer
#include <splitvit/split/score_of.hpp>       // score_of
#include <splitvit/wire/labels.hpp>          // read_labels
#include <splitvit/wire/tensor_payload.hpp>  // put_tensor

namespace splitvit::inline SPLITVIT_BUILD::split {

/// A server part with its optimiser, and the receiving end of the cut, without I/O. The roles of
/// several clients may share the part; they must not compute at the same time.
///
/// A step is forward for each of its parts, then commit. Nothing changes before commit, and discard
/// forgets the step. Between its parts no other role may compute on the part.
template <std::floating_point T>
class ServerRole {
 public:
  /// The client of a part without classifier takes the loss: see Middle.
  /// Errors  std::invalid_argument unless the part comes after a cut.
  ServerRole(std::shared_ptr<Learner<T>> learner, CutReceiver<T> receiver)
      : learner_{std::move(learner)}, receiver_{std::move(receiver)} {
    if (part().stem)
      throw std::invalid_argument("Server: the part is " + part().description() +
                                  ", wanted one without stem");
    if (!part().classifier) middle_.emplace(receiver_.codec(), receiver_.seed());
  }

  const nn::Part<T>& part() const { return learner_->part(); }
  const Learner<T>& learner() const { return *learner_; }
  Learner<T>& learner() { return *learner_; }
  const std::shared_ptr<Learner<T>>& shared_learner() const { return learner_; }
  const CutReceiver<T>& receiver() const { return receiver_; }

  /// Computes the gradient of a forward message. `reply` becomes the payload of the reply; that to
  /// the last part gets its header by commit. `largest` limits the bytes of activations and of
  /// labels when decoded.
  ///
  /// Errors  WireError for invalid bytes, and for parts that are not of one step.
  void forward(const StepId& id, std::span<const std::byte> payload, std::uint64_t largest,
               std::vector<std::byte>& reply) {
    timer_ = Timer{};
    header_.reserve(BackwardMessage::header_bytes);  // so that commit needs no memory
    if (id.micro > 0 && !under_way_) throw std::logic_error("forward: no step is under way");
    if (id.micro == 0) step_ = {};
    reply.assign(BackwardMessage::header_bytes, std::byte{});
    if (middle_ && middle_->awaits_gradient()) {
      loss_of_part_ = middle_->backward(receiver_, payload, reply);
      return;
    }
    const ForwardMessage message = read(payload, largest);
    if (message.is_coded) throw WireError(Reason::bad_flags, "forward: a flag of evaluations came");
    step_.begin_part(id.micro, message.share);
    step_.rows += static_cast<std::uint64_t>(
        message.sizes.empty()
            ? message.samples
            : std::accumulate(message.sizes.begin(), message.sizes.end(), Index{0}));
    under_way_ = true;
    if (middle_) {
      loss_of_part_ = 0;  // not known yet
      middle_->forward(id, part(), receiver_, message, reply);
      return complete(reply);
    }
    const auto came = receiver_.receive(id, part(), message);
    const Variable<T> loss = came.loss(part());
    loss_of_part_ = static_cast<double>(loss.value()[0]);
    if (!std::isfinite(loss_of_part_))
      throw WireError(Reason::not_finite, "forward: the loss is not finite");
    splitvit::backward(loss);
    if (message.wants_gradient) receiver_.send(came, reply);
    if (!is_complete()) complete(reply);
  }
  /// Whether forward has computed the last part of a step.
  bool is_complete() const {
    const bool has_gradient = !middle_ || !middle_->awaits_gradient();
    return under_way_ && has_gradient && step_.came == step_.share.images_of_step;
  }

  /// Applies the step; `reply` is that to its last part. Nothing changes if it throws.
  ///
  /// Errors  WireError (not_finite); std::logic_error before the last part.
  void commit(std::vector<std::byte>& reply) {
    if (!is_complete() || reply.size() < BackwardMessage::header_bytes)
      throw std::logic_error(under_way_ ? "commit: the step is not complete"
                                        : "commit: no step is under way");
    learner_->apply();
    under_way_ = false;
    images_ += step_.rows;
    receiver_.commit();
    if (middle_) middle_->commit();
    complete(reply);
  }
  /// Forgets the current step.
  void discard() {
    under_way_ = false;
    learner_->discard();
    receiver_.discard();
    if (middle_) middle_->discard();
  }

  /// Errors  WireError for invalid bytes.
  Score evaluate(std::span<const std::byte> payload, std::uint64_t largest) const {
    const NoGrad no_grad;
    const ForwardMessage came = read(payload, largest);
    const Labels labels = wire::read_labels(came.labels, came.samples, part().config.classes);
    return score_of(logits_of(came), labels);
  }

  /// The payload of the answer to an evaluate message: a Score, or the class scores (samples,
  /// classes) if it came without labels, or the tokens at the second cut, if there is one.
  /// Errors  WireError for invalid bytes.
  /// Adds what a Score says to `sums`, unless that is null; its loss is a sum then.
  std::vector<std::byte> answer(std::span<const std::byte> payload, std::uint64_t largest,
                                Evaluation* sums = nullptr) const {
    const ForwardMessage came = read(payload, largest);
    if (!came.labels.empty()) {
      const Score score = evaluate(payload, largest);
      if (sums != nullptr) {
        sums->classes.resize(static_cast<std::size_t>(part().config.classes));
        sums->add(score.loss_sum, score.correct,
                  wire::read_labels(came.labels, came.samples, part().config.classes));
      }
      return score.payload();
    }
    const NoGrad no_grad;
    const Tensor<T> scores = (middle_ ? tokens_of(came) : logits_of(came)).value();
    std::vector<std::byte> out;
    wire::put_tensor<T>(out, scores.shape(), scores.span());
    return out;
  }

  /// Errors  WireError without a decoder here, after a step, or if names or shapes differ.
  void take_decoder(std::span<const std::byte> payload) {
    if (!part().decoder)
      throw WireError(Reason::wrong_message, "a decoder came, but there is no bottleneck here");
    if (learner_->steps() > 0)
      throw WireError(Reason::wrong_message,
                      {"a decoder came, but step ", learner_->steps(), " has been taken here"});
    read_weights<T>(payload, *part().decoder);
    has_decoder_ = 1;
  }

  /// The last step that was applied, as far as this party knows it, without its number.
  StepReport last_step() const {
    return {.loss = step_.loss,
            .samples = static_cast<Index>(step_.rows),
            .traffic = {},
            .seconds = {.server = step_.seconds}};
  }
  /// How many images the rows of all applied steps stand for.
  std::uint64_t images() const { return images_; }

  /// Whether the client has given a decoder.
  bool has_decoder() const { return has_decoder_ != 0; }

  /// Without the Learner, which several roles may share. See core/state.hpp.
  void each_state(auto&& see) {
    show_state(receiver_, see);
    if (middle_) show_state(*middle_, see);
    see("has_decoder", has_decoder_);
    see("images", images_);
  }

 private:
  /// The step under way, or the last one.
  struct Step {
    StepShare share = {};  // of its newest part
    std::uint64_t came = 0, rows = 0;
    double loss = 0, seconds = 0;

    /// Errors  WireError (malformed) unless a step goes on like this.
    void begin_part(std::uint32_t number, const StepShare& next) {
      if (number > 0 && next.images_of_step != share.images_of_step)
        throw WireError(Reason::malformed,
                        {"forward: part ", number, " of a step of ", next.images_of_step,
                         " images came, wanted one of ", share.images_of_step});
      if (next.is_part() && next.images > next.images_of_step - came)
        throw WireError(Reason::malformed,
                        {"forward: a part of ", next.images, " images came, and ", came, " of ",
                         next.images_of_step, " images of the step before it"});
      share = next;
      came += next.is_part() ? next.images : 0;
    }
  };

  /// Writes the header of the reply to the newest part.
  void complete(std::vector<std::byte>& reply) {
    const double seconds = timer_.lap();
    step_.loss += loss_of_part_;
    step_.seconds += seconds;
    header_.clear();
    BackwardMessage{.loss = loss_of_part_, .seconds = seconds}.put_header(header_);
    std::copy(header_.begin(), header_.end(), reply.begin());
  }

  /// Of an evaluate message.
  Variable<T> logits_of(const ForwardMessage& came) const {
    if (!came.sizes.empty() || !came.wants_gradient || came.share.is_part())
      throw WireError(Reason::malformed, "evaluate: sizes of samples or a flag of steps came");
    if (middle_)
      throw WireError(Reason::malformed, "evaluate: labels came, though the client takes the loss");
    if (came.is_coded)
      return part().logits(Variable<T>{receiver_.evaluate(part(), came)},
                           came.template log_token_sizes<T>());
    if (!came.token_sizes.empty())
      throw WireError(Reason::malformed, "evaluate: sizes of tokens came without a codec");
    return part().logits(numbers_of(came));
  }
  /// The same at the second cut.
  Variable<T> tokens_of(const ForwardMessage& came) const {
    if (!came.sizes.empty() || !came.token_sizes.empty() || !came.wants_gradient || came.is_coded ||
        came.share.is_part())
      throw WireError(Reason::malformed, "evaluate: sizes or a flag came with a second cut");
    return part().to_next(numbers_of(came));
  }
  Variable<T> numbers_of(const ForwardMessage& came) const {
    auto decoded =
        codec::decode<T>(codec::Float32{}, came.encoded, came.shape(part().input_width()));
    return Variable<T>{std::move(decoded.values)};
  }

  ForwardMessage read(std::span<const std::byte> payload, std::uint64_t largest) const {
    const nn::VitConfig& vit = part().config;
    return ForwardMessage::read(payload, {.tokens = vit.tokens(),
                                          .width = std::max(vit.dim, part().input_width()),
                                          .classes = vit.classes,
                                          .number_size = sizeof(T),
                                          .bytes = largest});
  }

  std::shared_ptr<Learner<T>> learner_;
  CutReceiver<T> receiver_;
  std::optional<Middle<T>> middle_;  // if the client takes the loss
  Timer timer_;                      // of the newest part
  double loss_of_part_ = 0;
  Step step_;
  bool under_way_ = false;  // a step
  std::uint64_t images_ = 0;
  std::uint64_t has_decoder_ = 0;
  std::vector<std::byte> header_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
