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
#include <splitvit/nn/loss.hpp>              // correct_rows
#include <splitvit/split/cut.hpp>            // CutReceiver, StepId
#include <splitvit/split/learner.hpp>        // Learner
#include <splitvit/split/messages.hpp>       // BackwardMessage, ForwardMessage, Score, read_weights
#include <splitvit/split/report.hpp>         // Evaluation, StepReport, Timer
#include <splitvit/wire/labels.hpp>          // read_labels
#include <splitvit/wire/tensor_payload.hpp>  // put_tensor

namespace splitvit::inline SPLITVIT_BUILD::split {

/// A server part with its optimiser, and the receiving end of the cut, without I/O. The roles of
/// several clients may share the part; they must not compute at the same time.
///
/// A step is forward, then commit. Nothing changes before commit, and discard forgets the step.
template <std::floating_point T>
class ServerRole {
 public:
  /// Errors  std::invalid_argument unless the part comes after a cut and is the last of a model.
  ServerRole(std::shared_ptr<Learner<T>> learner, CutReceiver<T> receiver)
      : learner_{std::move(learner)}, receiver_{std::move(receiver)} {
    if (part().stem || !part().classifier)
      throw std::invalid_argument("Server: the part is " + part().description() +
                                  ", wanted one with classifier and without stem");
  }

  const nn::Part<T>& part() const { return learner_->part(); }
  const Learner<T>& learner() const { return *learner_; }
  Learner<T>& learner() { return *learner_; }
  const std::shared_ptr<Learner<T>>& shared_learner() const { return learner_; }
  const CutReceiver<T>& receiver() const { return receiver_; }

  /// Computes the gradient of a forward message. `reply` becomes the payload of the reply, whose
  /// header commit completes. `largest` limits the bytes of activations and of labels when decoded.
  ///
  /// Errors  WireError for invalid bytes.
  void forward(const StepId& id, std::span<const std::byte> payload, std::uint64_t largest,
               std::vector<std::byte>& reply) {
    timer_ = Timer{};
    header_.reserve(BackwardMessage::header_bytes);  // so that commit needs no memory
    const ForwardMessage message = read(payload, largest);
    if (message.is_coded) throw WireError(Reason::bad_flags, "forward: a flag of evaluations came");
    images_of_step_ = static_cast<std::uint64_t>(
        message.sizes.empty()
            ? message.samples
            : std::accumulate(message.sizes.begin(), message.sizes.end(), Index{0}));
    const auto came = receiver_.receive(id, part(), message);
    const Variable<T> loss = came.loss(part());
    loss_ = static_cast<double>(loss.value()[0]);
    if (!std::isfinite(loss_))
      throw WireError(Reason::not_finite, "forward: the loss is not finite");
    splitvit::backward(loss);
    reply.assign(BackwardMessage::header_bytes, std::byte{});
    if (message.wants_gradient) receiver_.send(came, reply);
    under_way_ = true;
  }

  /// Applies the step whose reply is `reply`. Nothing changes if it throws.
  ///
  /// Errors  WireError (not_finite); std::logic_error without a forward message before it.
  void commit(std::vector<std::byte>& reply) {
    if (!under_way_ || reply.size() < BackwardMessage::header_bytes)
      throw std::logic_error("commit: no step is under way");
    learner_->apply();
    under_way_ = false;
    images_ += images_of_step_;
    receiver_.commit();
    header_.clear();
    seconds_ = timer_.lap();
    BackwardMessage{.loss = loss_, .seconds = seconds_}.put_header(header_);
    std::copy(header_.begin(), header_.end(), reply.begin());
  }
  /// Forgets the current step.
  void discard() {
    under_way_ = false;
    learner_->discard();
    receiver_.discard();
  }

  /// Errors  WireError for invalid bytes.
  Score evaluate(std::span<const std::byte> payload, std::uint64_t largest) const {
    const NoGrad no_grad;
    const ForwardMessage came = read(payload, largest);
    const Labels labels = wire::read_labels(came.labels, came.samples, part().config.classes);
    const Variable<T> logits = logits_of(came);
    const double mean = static_cast<double>(cross_entropy(logits, labels).value()[0]);
    return {.loss_sum = mean * static_cast<double>(came.samples),
            .correct = nn::correct_rows(logits.value(), labels)};
  }

  /// The payload of the answer to an evaluate message: a Score, or the class scores (samples,
  /// classes) if it came without labels. Errors  WireError for invalid bytes.
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
    const Tensor<T> scores = logits_of(came).value();
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
    return {.loss = loss_,
            .samples = static_cast<Index>(images_of_step_),
            .traffic = {},
            .seconds = {.server = seconds_}};
  }
  /// How many images the rows of all applied steps stand for.
  std::uint64_t images() const { return images_; }

  /// Whether the client has given a decoder.
  bool has_decoder() const { return has_decoder_ != 0; }

  /// Without the Learner, which several roles may share. See core/state.hpp.
  void each_state(auto&& see) {
    show_state(receiver_, see);
    see("has_decoder", has_decoder_);
    see("images", images_);
  }

 private:
  /// Of an evaluate message.
  Variable<T> logits_of(const ForwardMessage& came) const {
    if (!came.sizes.empty() || !came.wants_gradient)
      throw WireError(Reason::malformed, "evaluate: sizes of samples or a flag of steps came");
    if (came.is_coded)
      return part().logits(Variable<T>{receiver_.evaluate(part(), came)},
                           came.template log_token_sizes<T>());
    if (!came.token_sizes.empty())
      throw WireError(Reason::malformed, "evaluate: sizes of tokens came without a codec");
    auto decoded =
        codec::decode<T>(codec::Float32{}, came.encoded, came.shape(part().input_width()));
    return part().logits(Variable<T>{std::move(decoded.values)});
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
  Timer timer_;                    // of the current step
  double loss_ = 0, seconds_ = 0;  // of the current step
  bool under_way_ = false;
  std::uint64_t images_of_step_ = 0;  // of the current step
  std::uint64_t images_ = 0;
  std::uint64_t has_decoder_ = 0;
  std::vector<std::byte> header_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
