// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/backward.hpp>  // backward
#include <splitvit/autograd/variable.hpp>  // NoGrad
#include <splitvit/codec/float32.hpp>      // Float32
#include <splitvit/core/error.hpp>         // joined, ShapeError
#include <splitvit/core/labels.hpp>        // Labels
#include <splitvit/split/cut.hpp>          // CutSender, StepId
#include <splitvit/split/learner.hpp>      // Learner
#include <splitvit/split/messages.hpp>     // BackwardMessage, ForwardMessage, weights_payload
#include <splitvit/split/options.hpp>      // ClientOptions, settings_of
#include <splitvit/split/report.hpp>       // StepReport, Timer
#include <splitvit/split/turn.hpp>         // Turn, TurnRequest
#include <splitvit/wire/labels.hpp>        // put_labels

namespace splitvit::inline SPLITVIT_BUILD::split {

/// A client part with its optimiser, and the sending end of the cut. It does no I/O; client.hpp
/// connects it to a server.
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
  /// What the server must agree to.
  wire::Settings settings(const ClientOptions& options) const {
    return settings_of(part(),
                       options.method.empty() ? sender_.stage().description() : options.method,
                       sender_.codec().description(), options.agreed);
  }

  /// The payload of a forward message, which borrows from this role until its next call.
  ///
  /// Shapes  images (B, channels, image, image), labels: B rows.
  /// Errors  ShapeError, std::invalid_argument; WireError (not_finite).
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
    payload_.clear();
    message.put_header(payload_);
    report.seconds.compression += timer.lap();
    return {payload_, message.encoded};
  }

  /// Computes gradients from the answer to the oldest forward message without one.
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
      throw std::logic_error(
          joined({"commit: ", pending_.size(), " messages of the step await an answer",
                  under_way_ ? "" : ", and none was sent"}));
    Timer timer;
    learner_.apply();
    sender_.commit();
    decoder_.clear();  // the server has it
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

  /// The payload of an evaluate message, with the encoder, but without stage and codec. Borrows
  /// from this role until its next call.
  ///
  /// Errors  ShapeError, std::invalid_argument for images or labels that do not fit the model.
  std::span<const std::byte> evaluate(Tensor<T> images, const Labels& labels) {
    require_batch("evaluate", images, labels);
    label_bytes_.clear();
    wire::put_labels(labels, part().config.classes, label_bytes_);
    return question(std::move(images));
  }
  /// An evaluate message without labels, which asks for the class scores.
  std::span<const std::byte> predict(Tensor<T> images) {
    require_images("predict", images, images.shape().rank() == 0 ? 0 : images.dim(0));
    label_bytes_.clear();
    return question(std::move(images));
  }

  /// Keeps an initial decoder for the server until the first step is applied.
  /// Errors  std::logic_error after the first step, or if the decoder does not fit the encoder.
  void give_decoder(const nn::Decoder<T>& decoder) {
    if (learner_.steps() > 0)
      throw std::logic_error(joined(
          {"give_decoder: step ", learner_.steps(), " has been taken, wanted before the first"}));
    const auto text_of = [](const auto& network) {
      return joined({network.options.description(), ", width ", network.token_width()});
    };
    const std::string own = part().encoder ? text_of(*part().encoder) : "no encoder";
    if (text_of(decoder) != own)
      throw std::logic_error(
          joined({"give_decoder: a decoder (", text_of(decoder), ") for the encoder (", own, ")"}));
    decoder_ = weights_payload<T>(decoder);
  }
  /// The payload of a weights message; empty without a decoder, and after the first step.
  const std::vector<std::byte>& decoder() const { return decoder_; }

  /// The payload of a turn message: this client wants to take so many steps in its next turn, 0 if
  /// it has taken them all. With the part's weights, if it was trained in the last turn.
  std::vector<std::byte> turn_request(std::uint64_t steps) const {
    TurnRequest request{.turn = turn_, .steps = steps};
    std::vector<std::byte> weights;
    if (learner_.steps() > turn_began_)
      request.weights = weights = weights_payload<T>(part());
    else if (turn_ == 0)
      request.start = weights_checksum<T>(part());
    return request.payload();
  }
  /// The server's answer. Takes the weights out of it, if it has any; the optimiser keeps its
  /// state.
  ///
  /// Errors  WireError for invalid bytes, weights of another part, or another turn than the next;
  ///         std::logic_error within a step.
  Turn take_turn(std::span<const std::byte> payload) {
    if (under_way_) throw std::logic_error("take_turn: a step is under way");
    Turn turn = Turn::read(payload, turn_ + 1);
    if (!turn.weights.empty()) read_weights<T>(std::exchange(turn.weights, {}), part());
    turn_ = turn.number;
    turn_began_ = learner_.steps();
    return turn;
  }

  /// See core/state.hpp.
  void each_state(auto&& see) {
    show_state(learner_, see);
    show_state(sender_, see);
    see("decoder", decoder_);
    see("turn", turn_);
    see("turn_began", turn_began_);
  }

 private:
  void require_batch(const char* operation, const Tensor<T>& images, const Labels& labels) const {
    require_images(operation, images, labels.row_count());
    labels.require_classes(operation, part().config.classes);
  }
  void require_images(const char* operation, const Tensor<T>& images, Index rows) const {
    const nn::VitConfig& vit = part().config;
    const Shape wanted{rows, vit.channels, vit.image, vit.image};
    if (images.shape() != wanted || rows == 0)
      throw ShapeError({operation, ": images ", images.shape(), " for ", rows,
                        " rows: this model takes ", wanted});
  }

  /// The payload of an evaluate message with the labels in label_bytes_.
  std::span<const std::byte> question(Tensor<T> images) {
    const NoGrad no_grad;
    const Variable<T> tokens =
        part().encode(part().to_cut(Variable<T>{std::move(images)}, NeedWeights::none).tokens);
    payload_.clear();
    ForwardMessage{.samples = tokens.dim(0), .tokens = tokens.dim(1), .labels = label_bytes_}
        .put_header(payload_);
    Rng none;
    codec::encode<T>(codec::Float32{}, tokens.value().view(), payload_, none);
    return payload_;
  }

  Learner<T> learner_;
  CutSender<T> sender_;
  std::vector<typename CutSender<T>::Pending> pending_;  // the oldest first
  bool under_way_ = false;                               // a step
  std::uint64_t turn_ = 0;                               // the number of the last turn; 0: none
  std::uint64_t turn_began_ = 0;                         // the step before it
  std::vector<std::byte> payload_, label_bytes_, decoder_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
