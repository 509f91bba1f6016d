// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max
#include <memory>     // make_unique, unique_ptr

#include <splitvit/codec/any_codec.hpp>      // AnyCodec, Codec
#include <splitvit/compress/any_stage.hpp>   // AnyStage
#include <splitvit/core/bytes.hpp>           // ByteReader
#include <splitvit/core/labels.hpp>          // Labels
#include <splitvit/core/workspace.hpp>       // Workspace
#include <splitvit/nn/part.hpp>              // Part
#include <splitvit/optim/optimizer.hpp>      // AnyRule
#include <splitvit/split/client_role.hpp>    // ClientRole, CutSender, Learner, StepId
#include <splitvit/split/messages.hpp>       // Score, read_weights, weights_payload
#include <splitvit/split/options.hpp>        // ClientOptions, settings_of
#include <splitvit/split/report.hpp>         // Column, EpochReport, Evaluation, StepReport, Timer
#include <splitvit/transport/any_link.hpp>   // AnyLink
#include <splitvit/wire/connection.hpp>      // Connection, options_on
#include <splitvit/wire/session.hpp>         // Session, SessionState
#include <splitvit/wire/tensor_payload.hpp>  // get_tensor

namespace splitvit::inline SPLITVIT_BUILD::split {

/// Batches, one after the other, such as an epoch of data::Loader.
///
///   source.next()  something like std::optional<Batch>: the next batch, or nothing at the
///                  end, with batch.images (B, channels, H, W) and batch.labels: Labels of B
///                  rows, or B ids
template <class S, class T>
concept BatchSource = std::floating_point<T> && requires(S& source) {
  static_cast<bool>(source.next());
  { (*source.next()).images } -> std::convertible_to<const Tensor<T>&>;
  { (*source.next()).labels } -> std::convertible_to<Labels>;
};

/// The party that has the images and the first blocks: a ClientRole, a session and a link. Only
/// this class waits for the link. While it computes, another thread answers heartbeats: see
/// wire::Connection, also for what a link without deadlines lacks.
///
///   Client client{part, Adam{.lr = 1e-3}, adc(0.1), std::move(link)};
///   client.train_epoch(loader.epoch(0));
///   client.close();
///
/// Random draws are a function of the seed, the client's number and the number of the step.
///
/// Errors  Calls that use the link throw WireError or TransportError when the exchange fails. The
///         step is then not applied here, and the connection is over: calls throw std::logic_error
///         until reconnect. After it, train the same batch again, before anything else: if the
///         server had applied the step, it sends its answer once more.
template <std::floating_point T>
class Client {
 public:
  /// Does the handshake.
  ///
  /// Errors  WireError (refused) naming the field and both values if the server is set up
  ///         differently; TransportError; std::invalid_argument for a part that is not a client's,
  ///         or options of the rule outside their range.
  template <codec::Codec<T> Code, transport::Transport Link>
  Client(nn::Part<T> part, std::type_identity_t<optim::AnyRule<T>> rule,
         std::type_identity_t<compress::AnyStage<T>> stage, Code codec, Link link,
         const ClientOptions& options = {})
      : Client(codec::AnyCodec<T>{std::move(codec)}, std::move(part), std::move(rule),
               std::move(stage), std::move(link), options) {}
  /// With codec Float32.
  template <transport::Transport Link>
  Client(nn::Part<T> part, std::type_identity_t<optim::AnyRule<T>> rule,
         std::type_identity_t<compress::AnyStage<T>> stage, Link link,
         const ClientOptions& options = {})
      : Client(codec::AnyCodec<T>{}, std::move(part), std::move(rule), std::move(stage),
               std::move(link), options) {}
  Client(ClientRole<T> role, transport::AnyLink link, const ClientOptions& options = {});

  /// Continues the session over another link. Closes the old one.
  /// Errors  As the constructor; WireError (wrong_step) if the server is at another step.
  void reconnect(transport::AnyLink link);

  /// Closes the link without a goodbye. The server keeps the session for reconnect.
  void disconnect();

  /// Trains on one batch.
  ///
  /// Shapes  images (B, channels, image, image), labels: B rows, such as B class ids.
  /// Errors  ShapeError, std::invalid_argument for images or labels that do not fit.
  StepReport train_step(Tensor<T> images, const Labels& labels);

  /// Trains on all batches of a source. `each(report)` is called after every step and may return
  /// false to stop. To train a batch again after a failure, keep it and call train_step.
  template <BatchSource<T> Source, class Each = bool (*)(const StepReport&)>
  EpochReport train_epoch(Source&& source, Each&& each = [](const StepReport&) { return true; }) {
    EpochReport report;
    while (auto batch = source.next()) {
      const StepReport step = train_step(std::move(batch->images), batch->labels);
      report.add(step);
      if (!each(step)) break;
    }
    return report;
  }

  /// Loss and accuracy, also by class, with the bottleneck, but without stage and codec: one
  /// prediction a sample.
  template <BatchSource<T> Source>
  Evaluation evaluate(Source&& source) {
    const Traffic before = traffic(Column::evaluation);
    Evaluation result;  // its loss is a sum at first
    result.classes.resize(static_cast<std::size_t>(part().config.classes));
    while (auto batch = source.next()) add_batch(result, std::move(batch->images), batch->labels);
    if (result.samples > 0) result.loss /= static_cast<double>(result.samples);
    result.traffic = traffic(Column::evaluation) - before;
    return result;
  }

  /// The class scores of images. The server needs no labels.
  /// Shapes  images (B, channels, image, image) -> (B, classes).
  Tensor<T> predict(Tensor<T> images) {
    const Workspace::Use use{workspace_};
    const Shape wanted{images.shape().rank() == 0 ? 0 : images.dim(0), part().config.classes};
    const wire::Bytes question = role_.predict(std::move(images));
    ByteReader answer{ask(wire::MessageKind::evaluate, question, wire::MessageKind::evaluated),
                      "scores"};
    auto scores = Tensor<T>::uninitialised(wanted);
    wire::get_tensor<T>(answer, wanted, scores.span(), "scores");
    answer.expect_end();
    return scores;
  }

  /// Gives the server an initial decoder, such as one from pca_bottleneck, before the first step.
  /// Its bytes count as training traffic.
  ///
  /// Errors  std::logic_error after a step, or if the encoder has other options or another width.
  void give_decoder(const nn::Decoder<T>& decoder);

  /// Fetches the server's part. Errors  WireError if it does not follow this one.
  nn::Part<T> fetch_server_part();

  /// Says goodbye. The server then ends the session without an error.
  void close();

  const nn::Part<T>& part() const { return role_.part(); }
  const ClientRole<T>& role() const { return role_; }
  /// Steps that have been applied.
  std::uint64_t steps() const { return state_->steps.last(); }
  /// The bytes that have crossed the link for this purpose, over all connections.
  Traffic traffic(Column column) const;

  /// Weights, optimiser, codec and session. See core/state.hpp.
  void each_state(auto&& see) {
    show_state(role_, see);
    const auto lock = lock_state();
    show_state(*state_, see, "session.");
  }

 private:
  Client(codec::AnyCodec<T> codec, nn::Part<T> part, optim::AnyRule<T> rule,
         compress::AnyStage<T> stage, transport::AnyLink link, const ClientOptions& options);

  void connect(transport::AnyLink link);
  wire::Connection::Locked session();
  /// Heartbeats are counted in the state by another thread.
  std::optional<wire::Connection::Locked> lock_state() const {
    if (!connection_) return std::nullopt;
    return connection_->locked();
  }
  /// Errors  std::logic_error if the answer to the server's last step was lost.
  void require_in_step(const char* operation);
  /// Runs `action`. If it throws, the connection ends, and the server is told why if possible.
  auto connected(const auto& action);
  void send(wire::MessageKind kind, wire::Bytes payload);
  /// Waits for a message and returns its payload. Writes what is queued before.
  wire::Bytes wait_for(wire::MessageKind kind);
  /// Sends a question and returns the payload of its answer.
  wire::Bytes ask(wire::MessageKind question, wire::Bytes payload, wire::MessageKind answer);
  /// Evaluates a batch and adds its losses and counts to `sums`.
  void add_batch(Evaluation& sums, Tensor<T> images, const Labels& labels);

  ClientRole<T> role_;
  ClientOptions options_;
  std::unique_ptr<wire::SessionState> state_ = std::make_unique<wire::SessionState>();
  std::unique_ptr<wire::Connection> connection_;
  std::vector<std::byte> decoder_;  // given, until the first step is applied
  Workspace workspace_;
};

template <std::floating_point T>
Client<T>::Client(codec::AnyCodec<T> codec, nn::Part<T> part, optim::AnyRule<T> rule,
                  compress::AnyStage<T> stage, transport::AnyLink link,
                  const ClientOptions& options)
    : Client(ClientRole<T>{Learner<T>{std::move(part), std::move(rule), options.training},
                           CutSender<T>{std::move(stage), std::move(codec), options.seed}},
             std::move(link), options) {}

template <std::floating_point T>
Client<T>::Client(ClientRole<T> role, transport::AnyLink link, const ClientOptions& options)
    : role_{std::move(role)}, options_{options} {
  state_->client = options_.client;
  connect(std::move(link));
}

template <std::floating_point T>
void Client<T>::reconnect(transport::AnyLink link) {
  disconnect();
  connect(std::move(link));
}

template <std::floating_point T>
void Client<T>::disconnect() {
  connection_.reset();
}

template <std::floating_point T>
auto Client<T>::connected(const auto& action) {
  try {
    return action();
  } catch (const WireError& error) {
    role_.discard();
    connection_->tell(error);
    disconnect();
    throw;
  } catch (...) {
    role_.discard();
    disconnect();
    throw;
  }
}

template <std::floating_point T>
StepReport Client<T>::train_step(Tensor<T> images, const Labels& labels) {
  const Workspace::Use use{workspace_};
  StepReport report{.step = session()->next().step, .traffic = {}, .seconds = {}};
  const Traffic before = traffic(Column::training);
  Timer timer;
  try {
    const auto payload = role_.forward({.client = options_.client, .step = report.step},
                                       std::move(images), labels, report);
    timer.lap();
    session()->send_step(payload);
  } catch (...) {
    role_.discard();  // nothing has been sent
    throw;
  }
  connected([&] {
    const wire::Event answer = connection_->next(wire::MessageKind::backward);
    const double waited = timer.lap();
    role_.backward(answer.payload, report);
    report.seconds.link = std::max(0.0, waited - report.seconds.server);
    connection_->session()->prepare();
    role_.commit(report);
    connection_->locked()->commit();
    decoder_.clear();  // the server has it
  });
  report.traffic = traffic(Column::training) - before;
  return report;
}

template <std::floating_point T>
void Client<T>::add_batch(Evaluation& sums, Tensor<T> images, const Labels& labels) {
  const Workspace::Use use{workspace_};
  const wire::Bytes question = role_.evaluate(std::move(images), labels);
  const wire::Bytes answer =
      ask(wire::MessageKind::evaluate, question, wire::MessageKind::evaluated);
  const Score score = Score::read(answer, labels.row_count());
  sums.loss += score.loss_sum;
  for (Index i = 0; i < labels.row_count(); ++i) {
    const Index correct = score.correct[static_cast<std::size_t>(i)] ? 1 : 0;
    auto& of_class = sums.classes[static_cast<std::size_t>(labels.row(i).argmax())];
    of_class.correct += correct;
    ++of_class.samples;
    sums.correct += correct;
  }
  sums.samples += labels.row_count();
}

template <std::floating_point T>
void Client<T>::give_decoder(const nn::Decoder<T>& decoder) {
  role_.require_fitting(decoder);
  decoder_ = weights_payload<T>(decoder);
  send(wire::MessageKind::weights, decoder_);
}

template <std::floating_point T>
nn::Part<T> Client<T>::fetch_server_part() {
  nn::Part<T> other{part().config, part().last, part().config.depth};
  if (part().encoder) other.decoder.emplace(part().config.dim, part().encoder->options);
  read_weights<T>(ask(wire::MessageKind::fetch_weights, {}, wire::MessageKind::weights), other);
  return other;
}

template <std::floating_point T>
void Client<T>::close() {
  require_in_step("close");
  send(wire::MessageKind::bye, {});
}

template <std::floating_point T>
Traffic Client<T>::traffic(Column column) const {
  const auto lock = lock_state();
  return traffic_of(*state_, column);
}

template <std::floating_point T>
void Client<T>::connect(transport::AnyLink link) {
  const CutSender<T>& sender = role_.sender();
  auto opening = wire::Session::client(
      *state_,
      settings_of(part(), options_.method.empty() ? sender.stage().description() : options_.method,
                  sender.codec().description(), options_.agreed),
      wire::options_on(link, options_.session), transport::Clock::now());
  connection_ = std::make_unique<wire::Connection>(std::move(link), std::move(opening));
  wait_for(wire::MessageKind::welcome);
  // The server may have got it or not.
  if (!decoder_.empty() && session()->agreed().last_step == 0)
    send(wire::MessageKind::weights, decoder_);
}

template <std::floating_point T>
wire::Connection::Locked Client<T>::session() {
  if (connection_) {
    auto session = connected([this] { return connection_->session(); });
    if (session->is_open()) return session;
  }
  throw std::logic_error("client: the connection is over; reconnect to go on");
}

template <std::floating_point T>
void Client<T>::require_in_step(const char* operation) {
  if (const std::uint64_t there = session()->agreed().last_step; there > steps())
    throw std::logic_error(joined({operation, ": the server has applied step ", there,
                                   ", whose answer was lost; train its batch again first"}));
}

template <std::floating_point T>
void Client<T>::send(wire::MessageKind kind, wire::Bytes payload) {
  session()->send(kind, std::array{payload});
  connected([&] { connection_->flush(); });
}

template <std::floating_point T>
wire::Bytes Client<T>::wait_for(wire::MessageKind kind) {
  return connected([&] { return connection_->next(kind).payload; });
}

template <std::floating_point T>
wire::Bytes Client<T>::ask(wire::MessageKind question, wire::Bytes payload,
                           wire::MessageKind answer) {
  require_in_step(wire::name(question));
  session()->send(question, std::array{payload});
  return wait_for(answer);
}

SPLITVIT_ONCE(class Client<float>);

}  // namespace splitvit::inline SPLITVIT_BUILD::split
