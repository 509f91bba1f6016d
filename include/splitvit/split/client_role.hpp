// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min

#include <splitvit/autograd/backward.hpp>        // backward
#include <splitvit/autograd/variable.hpp>        // NoGrad
#include <splitvit/codec/float32.hpp>            // Float32
#include <splitvit/compress/token_choice.hpp>    // undropped_tokens
#include <splitvit/core/bytes.hpp>               // ByteReader
#include <splitvit/core/error.hpp>               // joined, Reason, ShapeError, WireError
#include <splitvit/core/labels.hpp>              // Labels
#include <splitvit/core/options.hpp>             // Real, require_option
#include <splitvit/core/state.hpp>               // show_state, show_whole_numbers
#include <splitvit/nn/distance_correlation.hpp>  // with_distance_correlation
#include <splitvit/split/client_parts.hpp>       // ClientParts
#include <splitvit/split/cut.hpp>                // CutSender, StepId
#include <splitvit/split/learner.hpp>            // Learner
#include <splitvit/split/messages.hpp>           // BackwardMessage, ForwardMessage, StepShare
#include <splitvit/split/options.hpp>            // ClientOptions, settings_of
#include <splitvit/split/report.hpp>             // Evaluation, EvaluationMode, StepReport, Timer
#include <splitvit/split/score_of.hpp>           // score_of
#include <splitvit/split/tail.hpp>               // Tail
#include <splitvit/split/turn.hpp>               // Found, Turn, TurnRequest, weights_checksum
#include <splitvit/wire/labels.hpp>              // put_labels
#include <splitvit/wire/tensor_payload.hpp>      // get_tensor

namespace splitvit::inline SPLITVIT_BUILD::split {

/// A client part with its optimiser, and the sending end of the cut. It does no I/O; client.hpp
/// connects it to a server.
///
/// A step is forward, then backward with its answer, then commit. Nothing changes before commit.
/// discard forgets the step; the same batch then gives the same bytes again. A step of several
/// parts has a forward message for each, some of which may wait for their answers at a time; the
/// gradients are added in the order of the parts.
///
/// If a learner's feedback is local in a step, its gradient is that of the local head's loss on all
/// tokens at the cut, before the stages, and the answer has none.
template <std::floating_point T>
class ClientRole {
 public:
  /// In training a share of each image's patches is dropped before the first block, at random.
  /// Source  as in masked autoencoders, arXiv:2111.06377; distance correlation as in NoPeek,
  ///         arXiv:2008.09161.
  /// With a tail the labels stay here: the server sends its tokens back, and this party takes the
  /// loss. See Tail.
  /// Errors  std::invalid_argument unless the part is the first of a model and ends at a cut, the
  ///         tail is the last of it behind another cut, drop_patches is in [0, 1), and the weight
  ///         of the distance correlation at least 0; for a tail and a local head.
  ClientRole(Learner<T> learner, CutSender<T> sender, double drop_patches = 0,
             double distance_correlation = 0)
      : learner_{std::move(learner)},
        sender_{std::move(sender)},
        drop_patches_{drop_patches},
        distance_correlation_{distance_correlation} {
    if (!part().stem || part().classifier)
      throw std::invalid_argument("Client: the part is " + part().description() +
                                  ", wanted one with stem and without classifier");
    require_option("Client", "drop_patches", drop_patches, Real{0, 1, "R", false, true});
    require_option("Client", "distance_correlation", distance_correlation, Real{0, 1e6, "W"});
    if (const auto& tail = learner_.tail()) {
      if (!tail->classifier || tail->first <= part().last || learner_.local_head())
        throw ArgumentError({"Client: the tail is ", tail->description(), " behind ",
                             part().description(), learner_.local_head() ? " and a local head" : "",
                             ", wanted one with classifier behind a second cut"});
      tail_.emplace(sender_.codec(), sender_.seed() + 1);
    }
  }

  const nn::Part<T>& part() const { return learner_.part(); }
  /// All that this party has of the model.
  ClientParts<T> parts() const { return {part(), learner_.tail()}; }
  const Learner<T>& learner() const { return learner_; }
  const CutSender<T>& sender() const { return sender_; }
  /// What the server must agree to.
  wire::Settings settings(const ClientOptions& options) const {
    return settings_of(part(),
                       options.method.empty() ? sender_.stage().description() : options.method,
                       sender_.codec().description(), options.agreed,
                       learner_.tail() ? std::optional{learner_.tail()->first} : std::nullopt);
  }
  bool has_tail() const { return tail_.has_value(); }

  /// Errors  ShapeError, std::invalid_argument for images or labels that do not fit the model.
  void require_batch(const char* operation, const Tensor<T>& images, const Labels& labels) const {
    require_images(operation, images, labels.row_count());
    labels.require_classes(operation, part().config.classes);
  }

  /// The payload of a forward message, which borrows from this role until the next one or a
  /// question. `images_of_step` is B, summed over all parts of the step; 0: the step has no others.
  ///
  /// Shapes  images (B, channels, image, image), labels: B rows.
  /// Errors  ShapeError, std::invalid_argument; WireError (not_finite).
  std::array<std::span<const std::byte>, 2> forward(const StepId& id, Tensor<T> images,
                                                    const Labels& labels, StepReport& report,
                                                    Index images_of_step = 0) {
    require_batch("train_step", images, labels);
    Timer timer;
    StepShare share;
    if (images_of_step > 0)
      share = {.images = static_cast<std::uint32_t>(labels.row_count()),
               .images_of_step = static_cast<std::uint32_t>(images_of_step)};
    const Variable<T> input{std::move(images)};
    nn::AtCut<T> at_cut = part().to_cut(input, NeedWeights::cls, sender_.required_statistic(), {},
                                        kept_tokens(id, labels.row_count()));
    if (distance_correlation_ > 0)
      at_cut.tokens = nn::with_distance_correlation(at_cut.tokens, input.value(),
                                                    distance_correlation_ * share.weight());
    const bool is_local = learner_.feedback().is_local(id.step);
    Variable<T> local_loss;
    if (const auto& head = learner_.local_head()) {
      const Variable<T> tokens = part().encode(at_cut.tokens);
      // Otherwise it only teaches the head.
      local_loss = head->loss(is_local ? tokens : Variable<T>{tokens.value()}, labels);
      if (is_local) at_cut.tokens = Variable<T>{at_cut.tokens.value()};
    }
    report.seconds.client += timer.lap();
    ForwardMessage message;
    under_way_ = true;
    if (id.micro == 0) report.loss = 0;
    pending_.push_back(
        sender_.send(id, part(), std::move(at_cut), labels, message, !is_local, share));
    if (local_loss.defined())
      local_losses_.push_back({std::move(local_loss), static_cast<T>(share.weight())});
    const auto& sent = pending_.back();
    report.samples += labels.row_count();
    report.sent_samples += sent.samples;
    report.sent_tokens = sent.tokens;
    report.saturated += sent.saturated;
    payload_.clear();
    if (tail_) tail_->keep(message);
    message.put_header(payload_);
    report.seconds.compression += timer.lap();
    return {payload_, message.encoded};
  }

  /// Computes the gradients of the local head's losses, for which no answer is needed.
  void learn_locally(StepReport& report) {
    Timer timer;
    for (const auto& [loss, weight] : std::exchange(local_losses_, {}))
      splitvit::backward(loss, Tensor<T>::full(loss.shape(), weight));
    report.seconds.client += timer.lap();
  }

  /// With a tail: takes the loss of what the server has sent back, the answer to the forward
  /// message `id`. Returns the payload of the next one, as forward does; backward takes its answer.
  ///
  /// Errors  WireError for invalid bytes, and a loss that is not finite; std::logic_error without a
  ///         tail.
  std::array<std::span<const std::byte>, 1> take_loss(const StepId& id,
                                                      std::span<const std::byte> payload,
                                                      StepReport& report) {
    if (!tail_) throw std::logic_error("take_loss: this party has no tail");
    Timer timer;
    const BackwardMessage message = BackwardMessage::read(payload);
    report.seconds.server += message.seconds;
    const auto answer = tail_->backward(id, *learner_.tail(), message.encoded);
    report.seconds.client += timer.lap();
    return {answer};
  }

  /// Computes gradients from the answer to the oldest forward message without one, and those of
  /// learn_locally.
  ///
  /// Errors  WireError for invalid bytes; std::logic_error if no answer is due.
  void backward(std::span<const std::byte> payload, StepReport& report) {
    if (pending_.empty()) throw std::logic_error("backward: no forward message awaits an answer");
    learn_locally(report);
    Timer timer;
    const BackwardMessage message = BackwardMessage::read(payload);
    report.loss += message.loss;
    report.seconds.server += message.seconds;
    const typename CutSender<T>::Pending sent = std::move(pending_.front());
    pending_.erase(pending_.begin());
    if (!sent.wants_gradient) {
      if (message.encoded.empty()) return;
      throw WireError(Reason::malformed, "backward: a gradient came that was not asked for");
    }
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
    if (tail_) tail_->commit();
    report.codec = sender_.codec().log();
    decoder_.clear();  // the server has it
    under_way_ = false;
    report.seconds.client += timer.lap();
  }
  /// Forgets the current step.
  void discard() {
    under_way_ = false;
    pending_.clear();
    local_losses_.clear();
    learner_.discard();
    sender_.discard();
    if (tail_) tail_->discard();
  }

  /// The payload of an evaluate message, with the encoder. Borrows from this role until its next
  /// call.
  ///
  /// Errors  ShapeError, std::invalid_argument for images or labels that do not fit the model;
  ///         compressed: those of CutSender::evaluate.
  std::span<const std::byte> evaluate(Tensor<T> images, const Labels& labels,
                                      EvaluationMode mode = EvaluationMode::uncompressed) {
    require_batch("evaluate", images, labels);
    if (mode == EvaluationMode::compressed) {
      if (tail_) throw std::logic_error("evaluate: compressed, of a party with a tail");
      const NoGrad no_grad;
      ForwardMessage message;
      sender_.evaluate({.step = learner_.steps()}, part(),
                       part().to_cut(Variable<T>{std::move(images)}, NeedWeights::cls,
                                     sender_.evaluation_stage().required_statistic()),
                       labels, message);
      payload_.clear();
      message.put_header(payload_);
      payload_.insert(payload_.end(), message.encoded.begin(), message.encoded.end());
      return payload_;
    }
    label_bytes_.clear();
    if (!tail_) wire::put_labels(labels, part().config.classes, label_bytes_);
    return question(std::move(images));
  }
  /// An evaluate message without labels, which asks for the class scores.
  std::span<const std::byte> predict(Tensor<T> images) {
    require_images("predict", images, images.shape().rank() == 0 ? 0 : images.dim(0));
    label_bytes_.clear();
    return question(std::move(images));
  }
  /// The class scores of so many samples from the server's answer. Shapes  -> (samples, classes).
  /// Errors  WireError for an answer of another length.
  Tensor<T> scores(std::span<const std::byte> answer, Index samples) const {
    if (tail_) return tail_->scores(*learner_.tail(), answer, samples);
    ByteReader in{answer, "scores"};
    const Shape wanted{samples, part().config.classes};
    auto values = Tensor<T>::uninitialised(wanted);
    wire::get_tensor<T>(in, wanted, values.span(), "scores");
    in.expect_end();
    return values;
  }

  /// What the server's answer to an evaluate message says of these labels.
  /// Errors  WireError for invalid bytes.
  Score score(std::span<const std::byte> answer, const Labels& labels) const {
    if (!tail_) return Score::read(answer, labels.row_count());
    return score_of(Variable<T>{scores(answer, labels.row_count())}, labels);
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
  /// it has taken them all. With the weights of its parts, if it was trained in the last turn.
  std::vector<std::byte> turn_request(std::uint64_t steps) const {
    TurnRequest request{.turn = turn_.number, .steps = steps};
    std::vector<std::byte> weights;
    if (learner_.steps() > turn_began_)
      request.weights = weights = weights_payload<T>(parts());
    else if (turn_.number == 0)
      request.start = weights_checksum<T>(parts());
    else if (tail_ && turn_.what == Turn::What::evaluate)
      request.found = found_;
    return request.payload();
  }
  /// This party has evaluated, as a turn has asked it to. Where it takes the loss itself, the
  /// server learns of it from the next request.
  void keep_found(const Evaluation& all) {
    found_ = {.loss_sum = all.loss * static_cast<double>(all.samples),
              .correct = static_cast<std::uint64_t>(all.correct),
              .samples = static_cast<std::uint64_t>(all.samples)};
  }
  /// The server's answer. Takes the weights out of it, if it has any; the optimiser keeps its
  /// state.
  ///
  /// Errors  WireError for invalid bytes, weights of other parts, or another turn than the next;
  ///         std::logic_error within a step.
  Turn take_turn(std::span<const std::byte> payload) {
    if (under_way_) throw std::logic_error("take_turn: a step is under way");
    Turn turn = Turn::read(payload, turn_.number + 1);
    if (!turn.weights.empty()) read_weights<T>(std::exchange(turn.weights, {}), parts());
    turn_began_ = learner_.steps();
    found_ = {};
    return turn_ = turn;
  }
  /// The server has answered a step with this: the others have gone on. Forgets the step, and what
  /// else was left of its turn.
  ///
  /// Errors  WireError for invalid bytes, or another turn than its last one.
  void miss_turn(std::span<const std::byte> payload) {
    const Turn turn = Turn::read(payload, turn_.number);
    if (turn.what != Turn::What::missed || turn.number != turn_.number)
      throw WireError(Reason::wrong_message, "turn: one came that was not asked for");
    discard();
    turn_.steps = 0;
    turn_began_ = learner_.steps();  // its weights do not count
  }
  /// Its last turn, without weights; number 0: none.
  const Turn& turn() const { return turn_; }
  /// Steps of its last turn that are still to be taken.
  std::uint64_t steps_left() const {
    return turn_.steps - std::min(turn_.steps, learner_.steps() - turn_began_);
  }

  /// See core/state.hpp.
  void each_state(auto&& see) {
    show_state(learner_, see);
    show_state(sender_, see);
    if (tail_) show_state(*tail_, see);
    see("decoder", decoder_);
    show_whole_numbers(see, "turn", [this](const auto& use) {
      use(turn_.number);
      use(turn_.round);
      use(turn_.steps);
      use(turn_.what);
      use(turn_began_);
    });
    if (!tail_) return;
    see("found_loss_sum", found_.loss_sum);
    show_whole_numbers(see, "found", [this](const auto& use) {
      use(found_.correct);
      use(found_.samples);
    });
  }

 private:
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

  /// The tokens of each sample that reach the first block; empty for all.
  Tensor<Index> kept_tokens(const StepId& id, Index samples) const {
    Rng rng = sender_.draws(id, 0x70617463 /* "patc" */);
    return compress::undropped_tokens(samples, part().config.tokens(), drop_patches_, rng);
  }

  Learner<T> learner_;
  CutSender<T> sender_;
  double drop_patches_, distance_correlation_;
  std::optional<Tail<T>> tail_;  // if this party has the last part of the model, too
  std::vector<typename CutSender<T>::Pending> pending_;  // the oldest first
  /// Without gradients yet, and what they weigh in the step.
  std::vector<std::pair<Variable<T>, T>> local_losses_;
  bool under_way_ = false;        // a step
  Turn turn_;                     // the last one, without weights
  std::uint64_t turn_began_ = 0;  // the step before it
  Found found_;                   // since then
  std::vector<std::byte> payload_, label_bytes_, decoder_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
