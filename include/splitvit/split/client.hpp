// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // max
#include <array>        // array
#include <concepts>     // floating_point
#include <cstddef>      // byte
#include <cstdint>      // uint64_t
#include <memory>       // make_unique, unique_ptr
#include <optional>     // optional
#include <span>         // span
#include <stdexcept>    // logic_error
#include <string>       // string, to_string
#include <type_traits>  // type_identity_t
#include <utility>      // forward, move
#include <vector>       // vector

#include <splitvit/codec/any_codec.hpp>      // Codec
#include <splitvit/codec/float32.hpp>        // Float32
#include <splitvit/compress/any_stage.hpp>   // AnyStage
#include <splitvit/core/describe.hpp>        // describe
#include <splitvit/core/labels.hpp>          // Labels
#include <splitvit/core/workspace.hpp>       // Workspace
#include <splitvit/nn/part.hpp>              // Part
#include <splitvit/optim/any_rule.hpp>       // AnyRule
#include <splitvit/split/client_role.hpp>    // ClientRole
#include <splitvit/split/concepts.hpp>       // BatchSource
#include <splitvit/split/messages.hpp>       // put_weights, read_weights, Score
#include <splitvit/split/options.hpp>        // ClientOptions
#include <splitvit/split/report.hpp>         // EpochReport, Evaluation, StepReport, Traffic
#include <splitvit/split/settings.hpp>       // settings_of
#include <splitvit/split/step_id.hpp>        // StepId
#include <splitvit/split/timer.hpp>          // Timer
#include <splitvit/split/traffic.hpp>        // Column, traffic_of
#include <splitvit/transport/any_link.hpp>   // AnyLink
#include <splitvit/wire/io.hpp>              // flush, next, tell
#include <splitvit/wire/session.hpp>         // Session, SessionState
#include <splitvit/wire/tensor_payload.hpp>  // PayloadWriter

// Client: owns the images and the first blocks. Trains them together with a server.

namespace splitvit::split {

/// The party that has the data: a ClientRole, a session and a link. Only this class waits for the
/// link.
///
///   Client client{part, Adam{.lr = 1e-3}, adc(0.1), std::move(link)};
///   client.train_epoch(loader.epoch(0));
///   client.close();
///
/// Stage, codec, rule and link are any types that model the concepts. Random draws are a function
/// of the seed, the client's number and the number of the step.
///
/// Errors  Each call that uses the link throws WireError or TransportError when the exchange
///         fails. The step that was under way is then not applied here, all state is what it was
///         before, and the connection is over: further calls throw std::logic_error until
///         reconnect. After it, train the same batch again: if the server had applied the step, it
///         sends its answer once more. Until then the two parts are a step apart, so that nothing
///         but train_step is possible.
template <std::floating_point T>
class Client {
 public:
  /// Takes the link and does the handshake.
  ///
  /// Errors  WireError (refused) naming the field and both values if the server is set up
  ///         differently; TransportError; std::invalid_argument for a part that is not a client's,
  ///         options of the rule outside their range, or heartbeats.
  template <codec::Codec<T> Code, transport::Transport Link>
  Client(nn::Part<T> part, std::type_identity_t<optim::AnyRule<T>> rule,
         std::type_identity_t<compress::AnyStage<T>> stage, Code codec, Link link,
         const ClientOptions& options = {})
      : Client(ClientRole<T>{Learner<T>{std::move(part), std::move(rule), options.training},
                             CutSender<T>{std::move(stage), std::move(codec), options.seed}},
               std::move(link), options) {}
  /// With codec Float32.
  template <transport::Transport Link>
  Client(nn::Part<T> part, std::type_identity_t<optim::AnyRule<T>> rule,
         std::type_identity_t<compress::AnyStage<T>> stage, Link link,
         const ClientOptions& options = {})
      : Client(std::move(part), std::move(rule), std::move(stage), codec::Float32{},
               std::move(link), options) {}
  Client(ClientRole<T> role, transport::AnyLink link, const ClientOptions& options = {})
      : role_{std::move(role)}, options_{options}, link_{std::move(link)} {
    require_no_heartbeat("Client", options_.session);
    state_->client = options_.client;
    connect();
  }

  /// Continues the session over another link, such as after the old one has failed. Closes the old
  /// link.
  ///
  /// Errors  As the constructor; WireError (wrong_step) if the server is at another step.
  void reconnect(transport::AnyLink link) {
    disconnect();
    link_ = std::move(link);
    connect();
  }

  /// Closes the link without a goodbye. The server keeps the session for reconnect.
  void disconnect() {
    session_.reset();
    link_.reset();
  }

  /// Trains on one batch.
  ///
  /// Shapes  images (B, channels, image, image), labels: B rows, such as B class ids.
  /// Errors  ShapeError, std::invalid_argument for images or labels that do not fit the model,
  ///         before anything is sent.
  StepReport train_step(Tensor<T> images, const Labels& labels) {
    const Workspace::Use use{workspace_};
    StepReport report;
    report.step = session().next().step;
    const Traffic before = training_traffic();
    Timer timer;
    try {
      const StepId id{.client = options_.client, .step = report.step};
      const auto payload = role_.forward(id, std::move(images), labels, report);
      timer.lap();
      session().send_step(payload);
    } catch (...) {
      role_.discard();  // nothing has been sent
      throw;
    }
    connected([&] {
      wire::flush(*link_, *session_);
      const wire::Event answer = wire::next(*link_, *session_, wire::MessageKind::backward);
      const double waited = timer.lap();
      role_.backward(answer.payload, report);
      report.seconds.link = std::max(0.0, waited - report.seconds.server);
      session_->prepare();
      role_.commit(report);
      session_->commit();
      decoder_.clear();  // the server has it
    });
    report.traffic = training_traffic() - before;
    return report;
  }

  /// Learns from all batches of a source. `each(report)` is called after every step and may
  /// return false to stop. To be able to train a batch again after a failure, call train_step with
  /// batches that are kept: the source has moved on.
  template <BatchSource<T> Source, class Each>
  EpochReport train_epoch(Source&& source, Each&& each) {
    EpochReport report;
    while (auto batch = source.next()) {
      const StepReport step = train_step(std::move(batch->images), batch->labels);
      report.add(step);
      if (!each(step)) break;
    }
    return report;
  }
  template <BatchSource<T> Source>
  EpochReport train_epoch(Source&& source) {
    return train_epoch(std::forward<Source>(source), [](const StepReport&) { return true; });
  }

  /// Loss and accuracy. Applies the bottleneck, if there is one, but not stage and codec, so that
  /// there is one prediction for each sample.
  template <BatchSource<T> Source>
  Evaluation evaluate(Source&& source) {
    const Traffic before = evaluation_traffic();
    Evaluation result;
    double loss_sum = 0;
    while (auto batch = source.next()) {
      const Workspace::Use use{workspace_};
      const Labels& labels = batch->labels;
      const Index count = labels.row_count();
      const auto payload = role_.evaluate(std::move(batch->images), labels);
      const Score score = Score::read(
          ask(wire::MessageKind::evaluate, payload, wire::MessageKind::evaluated), count);
      loss_sum += score.loss_sum;
      result.correct += score.correct;
      result.samples += count;
    }
    if (result.samples > 0) result.loss = loss_sum / static_cast<double>(result.samples);
    result.traffic = evaluation_traffic() - before;
    return result;
  }

  /// Gives the server an initial decoder, such as one from pca_bottleneck, before the first step of
  /// either side. Its bytes count as training traffic.
  ///
  /// Errors  std::logic_error if this side has taken a step, or its encoder has other options or
  ///         another width.
  void give_decoder(const nn::Decoder<T>& decoder) {
    role_.require_fitting(decoder);
    wire::PayloadWriter out;
    put_weights<T>(out, decoder);
    decoder_ = out.gather();
    send_decoder();
  }

  /// Fetches the server's weights, so that both parts can be saved as one model.
  ///
  /// Errors  WireError if they do not fit the part that follows this one.
  nn::Part<T> fetch_server_part() {
    nn::Part<T> other{part().config, part().last, part().config.depth};
    if (part().encoder) other.decoder.emplace(part().config.dim, part().encoder->options);
    read_weights<T>(ask(wire::MessageKind::fetch_weights, {}, wire::MessageKind::weights), other);
    return other;
  }

  /// Says goodbye. The server then ends the session without an error.
  void close() {
    require_in_step("close");
    session().send(wire::MessageKind::bye);
    connected([&] { wire::flush(*link_, *session_); });
  }

  const nn::Part<T>& part() const { return role_.part(); }
  const optim::Optimizer<T>& optimizer() const { return role_.learner().optimizer(); }
  const ClientRole<T>& role() const { return role_; }
  /// Steps that have been applied.
  std::uint64_t steps() const { return state_->steps.last(); }

  /// All that has crossed the link for training, the handshake included.
  Traffic training_traffic() const { return traffic_of(*state_, Column::training); }
  Traffic evaluation_traffic() const { return traffic_of(*state_, Column::evaluation); }
  /// The bytes of fetch_server_part.
  Traffic weights_traffic() const { return traffic_of(*state_, Column::weights); }
  /// The bytes of heartbeats, errors, later handshakes and repeated steps.
  Traffic upkeep_traffic() const { return traffic_of(*state_, Column::upkeep); }

  /// What both sides have agreed on for this connection.
  ///
  /// Errors  std::logic_error if the connection is over.
  const wire::Welcome& agreed() const {
    require_connected();
    return session_->agreed();
  }

  /// Weights, optimiser, codec and session. See core/state.hpp.
  void each_state(auto&& see) {
    show_state(role_, see);
    show_state(*state_, see, "session.");
  }

 private:
  void connect() {
    const std::string method =
        options_.method.empty() ? role_.sender().stage().description() : options_.method;
    session_.emplace(wire::Session::client(
        *state_, settings_of(part(), method, describe(role_.sender().codec()), options_.agreed),
        options_.session, transport::Clock::now()));
    connected([&] {
      wire::flush(*link_, *session_);
      wire::next(*link_, *session_, wire::MessageKind::welcome);
    });
    // The server may have got it or not.
    if (!decoder_.empty() && agreed().last_step == 0) send_decoder();
  }

  void send_decoder() {
    session().send(wire::MessageKind::weights, std::array{wire::Bytes{decoder_}});
    connected([&] { wire::flush(*link_, *session_); });
  }

  /// Errors  std::logic_error if the answer to the server's last step was lost.
  void require_in_step(const char* operation) const {
    const std::uint64_t there = agreed().last_step;
    if (there > steps())
      throw std::logic_error(std::string{operation} + ": the server has applied step " +
                             std::to_string(there) +
                             ", whose answer was lost; train its batch "
                             "again first");
  }

  void require_connected() const {
    if (!session_ || !session_->is_open())
      throw std::logic_error("client: the connection is over; reconnect to go on");
  }
  wire::Session& session() {
    require_connected();
    return *session_;
  }

  /// Runs `action`, which uses the connection. If it throws, the connection ends, and the server is
  /// told why if possible.
  void connected(const auto& action) {
    try {
      action();
    } catch (const WireError& error) {
      role_.discard();
      wire::tell(*link_, *session_, error);
      disconnect();
      throw;
    } catch (...) {
      role_.discard();
      disconnect();
      throw;
    }
  }

  /// Sends a question and returns the payload of its answer.
  std::span<const std::byte> ask(wire::MessageKind question, std::span<const wire::Bytes> payload,
                                 wire::MessageKind answer) {
    require_in_step(wire::name(question));
    session().send(question, payload);
    std::span<const std::byte> came;
    connected([&] {
      wire::flush(*link_, *session_);
      came = wire::next(*link_, *session_, answer).payload;
    });
    return came;
  }

  ClientRole<T> role_;
  ClientOptions options_;
  std::optional<transport::AnyLink> link_;
  std::unique_ptr<wire::SessionState> state_ = std::make_unique<wire::SessionState>();
  std::optional<wire::Session> session_;
  std::vector<std::byte> decoder_;  // given, until the first step is applied
  Workspace workspace_;
};

}  // namespace splitvit::split
