// SPDX-License-Identifier: MIT
#pragma once

#include <array>      // array
#include <concepts>   // floating_point
#include <cstddef>    // byte
#include <span>       // span
#include <stdexcept>  // invalid_argument, logic_error
#include <string>     // string, to_string
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/autograd/backward.hpp>  // backward
#include <splitvit/autograd/no_grad.hpp>   // NoGrad
#include <splitvit/codec/float32.hpp>      // Float32
#include <splitvit/core/error.hpp>         // ShapeError
#include <splitvit/core/labels.hpp>        // Labels
#include <splitvit/split/cut_sender.hpp>   // CutSender
#include <splitvit/split/learner.hpp>      // Learner
#include <splitvit/split/messages.hpp>     // BackwardMessage, ForwardMessage
#include <splitvit/split/report.hpp>       // StepReport
#include <splitvit/split/step_id.hpp>      // StepId
#include <splitvit/split/timer.hpp>        // Timer
#include <splitvit/wire/labels.hpp>        // put_labels

// ClientRole: what a client computes for a batch and for the answers of the server. It does no I/O;
// client.hpp connects it to a server.

namespace splitvit::split {

/// A client part with its optimiser, and the sending end of the cut.
///
/// A step is forward, then backward with its answer, then commit. Nothing changes before commit.
/// discard forgets the step; the same batch then gives the same bytes again.
template <std::floating_point T>
class ClientRole {
 public:
  /// Errors  std::invalid_argument unless the part is the first of a model and ends at a cut.
  ClientRole(Learner<T> learner, CutSender<T> sender)
      : learner_{std::move(learner)}, sender_{std::move(sender)} {
    if (!part().stem || part().classifier)
      throw std::invalid_argument("Client: the part is " + part().description() +
                                  ", wanted one with stem and without classifier");
  }

  const nn::Part<T>& part() const { return learner_.part(); }
  const Learner<T>& learner() const { return learner_; }
  const CutSender<T>& sender() const { return sender_; }

  /// The payload of a forward message, which borrows from this role until its next call.
  ///
  /// Shapes  images (B, channels, image, image), labels: B rows.
  /// Errors  ShapeError, std::invalid_argument for images or labels that do not fit the model, or
  ///         from the stage; WireError (not_finite).
  std::array<std::span<const std::byte>, 2> forward(const StepId& id, Tensor<T> images,
                                                    const Labels& labels, StepReport& report) {
    require_batch("train_step", images, labels);
    Timer timer;
    nn::AtCut<T> at_cut = part().to_cut(Variable<T>{std::move(images)}, NeedWeights::cls,
                                        sender_.required_statistic());
    report.seconds.client += timer.lap();
    ForwardMessage message;
    under_way_ = true;
    pending_.push_back(sender_.send(id, part(), std::move(at_cut), labels, message));
    const auto& sent = pending_.back();
    report.samples += labels.row_count();
    report.sent_samples += sent.samples;
    report.sent_tokens = sent.tokens;
    report.saturated += sent.saturated;
    header_.clear();
    message.put_header(header_);
    report.seconds.compression += timer.lap();
    return {header_, message.encoded};
  }

  /// Takes the answer to the oldest forward message without one, and computes the gradients of the
  /// part's parameters.
  ///
  /// Errors  WireError for invalid bytes; std::logic_error if no answer is due.
  void backward(std::span<const std::byte> payload, StepReport& report) {
    if (pending_.empty()) throw std::logic_error("backward: no forward message awaits an answer");
    Timer timer;
    const BackwardMessage message = BackwardMessage::read(payload);
    report.loss = message.loss;
    report.seconds.server += message.seconds;
    const typename CutSender<T>::Pending sent = std::move(pending_.front());
    pending_.erase(pending_.begin());
    const Tensor<T> gradient = sender_.decode(sent, message.encoded);
    report.seconds.compression += timer.lap();
    splitvit::backward(sent.crossing, gradient);
    report.seconds.client += timer.lap();
  }

  /// Applies the step. Nothing changes if it throws.
  ///
  /// Errors  WireError (not_finite); std::logic_error unless all its messages are answered.
  void commit(StepReport& report) {
    if (!under_way_ || !pending_.empty())
      throw std::logic_error("commit: " + std::to_string(pending_.size()) +
                             " messages of the step await an answer" +
                             (under_way_ ? "" : ", and none was sent"));
    Timer timer;
    learner_.apply();
    sender_.commit();
    under_way_ = false;
    report.seconds.client += timer.lap();
  }
  /// Forgets the current step.
  void discard() {
    under_way_ = false;
    pending_.clear();
    learner_.discard();
    sender_.discard();
  }

  /// The payload of an evaluate message. Applies the encoder, if there is one, but not stage and
  /// codec, so that there is one prediction for each sample. Borrows from this role until its next
  /// call.
  ///
  /// Errors  ShapeError, std::invalid_argument for images or labels that do not fit the model.
  std::array<std::span<const std::byte>, 2> evaluate(Tensor<T> images, const Labels& labels) {
    require_batch("evaluate", images, labels);
    const NoGrad no_grad;
    const Variable<T> tokens =
        part().encode(part().to_cut(Variable<T>{std::move(images)}, NeedWeights::none).tokens);
    encoded_.clear();
    Rng none;
    codec::Float32{}.encode(tokens.value().view(), encoded_, none);
    label_bytes_.clear();
    wire::put_labels(labels, part().config.classes, label_bytes_);
    header_.clear();
    ForwardMessage{.samples = tokens.dim(0),
                   .tokens = tokens.dim(1),
                   .labels = label_bytes_,
                   .encoded = encoded_}
        .put_header(header_);
    return {header_, encoded_};
  }

  /// Errors  std::logic_error after the first step, or if the decoder does not fit the encoder of
  ///         this side.
  void require_fitting(const nn::Decoder<T>& decoder) const {
    if (learner_.steps() > 0)
      throw std::logic_error("give_decoder: step " + std::to_string(learner_.steps()) +
                             " has been taken, wanted before the first");
    const auto& encoder = part().encoder;
    if (!encoder || encoder->options != decoder.options ||
        encoder->token_width() != decoder.token_width())
      throw std::logic_error("give_decoder: a decoder (" + decoder.options.description() +
                             ", width " + std::to_string(decoder.token_width()) + ") for " +
                             (encoder
                                  ? "an encoder (" + encoder->options.description() + ", width " +
                                        std::to_string(encoder->token_width()) + ")"
                                  : "no encoder"));
  }

  /// See core/state.hpp.
  void each_state(auto&& see) {
    show_state(learner_, see);
    show_state(sender_, see);
  }

 private:
  void require_batch(const char* operation, const Tensor<T>& images, const Labels& labels) const {
    const nn::VitConfig& vit = part().config;
    const Shape wanted{labels.row_count(), vit.channels, vit.image, vit.image};
    if (images.shape() != wanted || labels.empty())
      throw ShapeError(std::string{operation} + ": images " + images.shape().text() + " with " +
                       std::to_string(labels.row_count()) + " labels: this model takes " +
                       wanted.text());
    labels.require_classes(operation, vit.classes);
  }

  Learner<T> learner_;
  CutSender<T> sender_;
  std::vector<typename CutSender<T>::Pending> pending_;  // the oldest first
  bool under_way_ = false;                               // a step
  std::vector<std::byte> header_, encoded_, label_bytes_;
};

}  // namespace splitvit::split
