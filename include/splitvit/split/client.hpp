// SPDX-License-Identifier: MIT
#pragma once

#include <memory>  // make_unique, shared_ptr, unique_ptr

#include <splitvit/codec/any_codec.hpp>          // Codec
#include <splitvit/codec/float32.hpp>            // Float32
#include <splitvit/compress/any_stage.hpp>       // AnyStage
#include <splitvit/core/labels.hpp>              // Labels
#include <splitvit/core/workspace.hpp>           // Workspace
#include <splitvit/nn/part.hpp>                  // Part
#include <splitvit/optim/optimizer.hpp>          // AnyRule
#include <splitvit/split/batch_source.hpp>       // BatchSource
#include <splitvit/split/client_role.hpp>        // ClientRole, CutSender, Learner
#include <splitvit/split/exchange.hpp>           // Exchange
#include <splitvit/split/messages.hpp>           // CheckpointMessage, Score, read_weights
#include <splitvit/split/options.hpp>            // ClientOptions
#include <splitvit/split/party_checkpoints.hpp>  // CheckpointsOf, PartyCheckpoints, ShowState
#include <splitvit/split/report.hpp>             // Column, EpochReport, Evaluation, StepReport
#include <splitvit/transport/any_link.hpp>       // AnyLink
#include <splitvit/wire/connection.hpp>          // Connection, options_on
#include <splitvit/wire/session.hpp>             // Session, SessionState

namespace splitvit::inline SPLITVIT_BUILD::split {

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
  /// Errors  WireError (refused) naming the field and both values if the server is set up
  ///         differently; TransportError; std::invalid_argument for a part that is not a client's,
  ///         or options of the rule outside their range.
  template <codec::Codec<T> Code, transport::Transport Link>
  Client(nn::Part<T> part, std::type_identity_t<optim::AnyRule<T>> rule,
         std::type_identity_t<compress::AnyStage<T>> stage, Code codec, Link link,
         const ClientOptions& options = {})
      : Client(ClientRole<T>{Learner<T>{std::move(part), std::move(rule), options.training,
                                        options.feedback},
                             CutSender<T>{std::move(stage), std::move(codec), options.seed},
                             options.drop_patches, options.distance_correlation},
               std::move(link), options) {}
  /// With codec Float32.
  template <transport::Transport Link>
  Client(nn::Part<T> part, std::type_identity_t<optim::AnyRule<T>> rule,
         std::type_identity_t<compress::AnyStage<T>> stage, Link link,
         const ClientOptions& options = {})
      : Client(std::move(part), std::move(rule), std::move(stage), codec::Float32{},
               std::move(link), options) {}
  Client(ClientRole<T> role, transport::AnyLink link, const ClientOptions& options = {})
      : Client(std::move(role), options) {
    reconnect(std::move(link));
  }
  /// Without a link: reconnect does the first handshake, too.
  explicit Client(ClientRole<T> role, const ClientOptions& options = {});

  /// Saves checkpoints from now on. Goes on from the newest that they hold; without one it begins a
  /// session and saves generation 0, so that a client that is started again is always known.
  /// Errors  StorageError if the newest cannot be restored; std::logic_error after the first
  ///         connection or step.
  void keep_checkpoints(std::shared_ptr<PartyCheckpoints> checkpoints);

  /// Continues the session over another link. Closes the old one. With checkpoints, both parties
  /// may go back: steps() is then smaller, and the next batch is the one after it.
  /// Errors  As the constructor; WireError (wrong_step) if the server is at another step;
  ///         StorageError if the checkpoint to go back to cannot be restored.
  void reconnect(transport::AnyLink link);

  /// Closes the link without a goodbye. The server keeps the session for reconnect.
  void disconnect() { connection_.reset(); }

  /// Trains on one batch, cut into options.micro_batches parts.
  /// Shapes  images (B, channels, image, image), labels: B rows, such as B class ids.
  /// Errors  ShapeError, std::invalid_argument for images or labels that do not fit; WireError
  ///         (late) if others of a group have gone on: request the next turn, on this connection.
  StepReport train_step(Tensor<T> images, const Labels& labels);

  /// Trains on all batches of a source. `each(report)` is called after every step and may return
  /// false to stop; then a checkpoint is written if one is due. To train a batch again after a
  /// failure, keep it and call train_step, unless steps() counts it.
  template <BatchSource<T> Source, class Each = bool (*)(const StepReport&)>
  EpochReport train_epoch(Source&& source, Each&& each = [](const StepReport&) { return true; }) {
    EpochReport report;
    while (auto batch = source.next()) {
      const StepReport step = train_step(std::move(batch->images), batch->labels);
      report.add(step);
      const bool goes_on = each(step);
      checkpoint_if_due();
      if (!goes_on) break;
    }
    return report;
  }

  /// Saves this side after the last step and, if there is a connection, has the server do the same.
  /// Nothing happens without keep_checkpoints. What cannot be written is reported.
  /// Errors  WireError, TransportError; this side may be saved then.
  void checkpoint();
  /// If the policy says so.
  void checkpoint_if_due() {
    if (checkpoints_ && checkpoints_->is_due(steps())) checkpoint();
  }

  /// Loss and accuracy, also by class: one prediction a sample.
  template <BatchSource<T> Source>
  Evaluation evaluate(Source&& source, EvaluationMode mode = EvaluationMode::uncompressed) {
    const Traffic before = traffic(Column::evaluation);
    Evaluation result;  // its loss is a sum at first
    result.classes.resize(static_cast<std::size_t>(part().config.classes));
    while (auto batch = source.next())
      add_batch(result, std::move(batch->images), batch->labels, mode);
    if (result.samples > 0) result.loss /= static_cast<double>(result.samples);
    result.traffic = traffic(Column::evaluation) - before;
    role_.keep_found(result);
    return result;
  }

  /// The class scores of images. The server needs no labels.
  /// Shapes  images (B, channels, image, image) -> (B, classes).
  Tensor<T> predict(Tensor<T> images) {
    const Workspace::Use use{*workspace_};
    const Index samples = images.shape().rank() == 0 ? 0 : images.dim(0);
    const wire::Bytes question = role_.predict(std::move(images));
    return role_.scores(ask(wire::MessageKind::evaluate, question, wire::MessageKind::evaluated),
                        samples);
  }

  /// Gives the server an initial decoder, such as one from pca_bottleneck, before the first step.
  /// Its bytes count as training traffic.
  /// Errors  std::logic_error after a step, or if the encoder has other options or another width.
  void give_decoder(const nn::Decoder<T>& decoder);

  /// Fetches the server's part. Errors  WireError if it does not follow this one.
  nn::Part<T> fetch_server_part();

  /// Where several clients train one model: asks the server for the next turn, in which this client
  /// wants to take so many steps; 0 if it has taken them all. Goes on without an answer.
  /// Errors  WireError, TransportError.
  void request_turn(std::uint64_t steps) {
    require_in_step("request_turn");
    save();
    send(wire::MessageKind::turn, role_.turn_request(steps));
  }
  /// Waits for the answer, perhaps until other clients have taken their steps, and takes its
  /// weights. If the connection is lost, request the turn again. Errors  as request_turn.
  Turn await_turn() {
    const wire::Bytes answer = wait_for(wire::MessageKind::turn);
    const Turn turn = connected([&] { return role_.take_turn(answer); });
    session()->payloads().release();
    // Before it gave the turn, the server has saved what it needs to go back to it.
    if (save()) checkpoints_->agree({.generation = steps()});
    return turn;
  }

  /// Says goodbye, which ends the session without an error. Both keep the last checkpoint only.
  void close();

  /// Tells the server why this party ends the session, and disconnects. Does nothing if the
  /// connection is over.
  void give_up(const ReasonedError& why);

  const nn::Part<T>& part() const { return role_.part(); }
  const ClientRole<T>& role() const { return role_; }
  /// Steps that have been applied.
  std::uint64_t steps() const { return state_->steps.last(); }
  /// The bytes that have crossed the link for this purpose, over all connections.
  Traffic traffic(Column column) const {
    const auto lock = lock_state();
    return traffic_of(*state_, column);
  }

  /// Weights, optimiser, codec and session. See core/state.hpp.
  void each_state(auto&& see) {
    show_state(role_, see);
    const auto lock = lock_state();
    show_state(*state_, see, "session.");
  }

 private:
  wire::Connection::Locked session();
  /// Heartbeats are counted in the state by another thread.
  std::optional<wire::Connection::Locked> lock_state() const {
    if (!connection_) return std::nullopt;
    return connection_->locked();
  }
  wire::SessionState state() const {
    const auto lock = lock_state();
    return *state_;
  }
  ShowState shown() { return checkpoints_.state_of(role_); }
  /// Whether this side keeps checkpoints and has written one.
  bool save() { return checkpoints_ && checkpoints_->save_if_possible(state(), shown()); }
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
  void add_batch(Evaluation& sums, Tensor<T> images, const Labels& labels, EvaluationMode mode);

  ClientRole<T> role_;
  ClientOptions options_;
  std::unique_ptr<wire::SessionState> state_ = std::make_unique<wire::SessionState>();
  std::unique_ptr<wire::Connection> connection_;
  CheckpointsOf<ClientRole<T>> checkpoints_;
  std::shared_ptr<Workspace> workspace_;
};

template <std::floating_point T>
Client<T>::Client(ClientRole<T> role, const ClientOptions& options)
    : role_{std::move(role)},
      options_{options},
      workspace_{options.workspace ? options.workspace : std::make_shared<Workspace>()} {
  require_micro_batches(options_.micro_batches, role_.has_tail());
  state_->client = options_.client;
}

template <std::floating_point T>
void Client<T>::keep_checkpoints(std::shared_ptr<PartyCheckpoints> checkpoints) {
  if (steps() > 0 || state_->connection > 0)
    throw std::logic_error("keep_checkpoints: the session has begun already");
  const CheckpointsOf<ClientRole<T>> kept{std::move(checkpoints)};
  wire::Settings settings = role_.settings(options_);
  if (options_.micro_batches > 1)
    settings.push_back({"micro_batches", std::to_string(options_.micro_batches)});
  kept->use(std::move(settings), options_.client, options_.seed);
  if (const auto newest = kept->newest()) {
    kept->restore(newest->step, *state_, kept.state_of(role_));
  } else {
    state_->id = wire::random_session_id();
    kept->save_if_possible(*state_, kept.state_of(role_));
  }
  checkpoints_ = kept;
}

template <std::floating_point T>
void Client<T>::checkpoint() {
  if (!save() || !connection_ || checkpoints_->are_with_turns()) return;
  const auto here = CheckpointMessage{.step = steps()}.payload();
  const auto answer = ask(wire::MessageKind::checkpoint, here, wire::MessageKind::checkpoint);
  checkpoints_->answered(CheckpointMessage::read(answer, steps()));
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
  const Workspace::Use use{*workspace_};
  StepReport report{.step = session()->next().step, .traffic = {}, .seconds = {}};
  const Traffic before = traffic(Column::training);
  Exchange<T> exchange{role_, *connection_, std::move(images), labels, options_, report};
  try {
    session()->send_step(exchange.first());
  } catch (...) {
    role_.discard();  // nothing has been sent
    throw;
  }
  const bool is_taken = connected([&] {
    if (!exchange.finish()) return false;
    connection_->session()->prepare();
    role_.commit(report);
    connection_->locked()->commit();
    return true;
  });
  if (!is_taken)
    throw WireError(Reason::late, {"step ", report.step,
                                   ": the other clients have gone on; request the next turn"});
  report.traffic = traffic(Column::training) - before;
  return report;
}

template <std::floating_point T>
void Client<T>::add_batch(Evaluation& sums, Tensor<T> images, const Labels& labels,
                          EvaluationMode mode) {
  const Workspace::Use use{*workspace_};
  const wire::Bytes question = role_.evaluate(std::move(images), labels, mode);
  const auto answer = ask(wire::MessageKind::evaluate, question, wire::MessageKind::evaluated);
  const Score score = role_.score(answer, labels);
  sums.add(score.loss_sum, score.correct, labels);
}

template <std::floating_point T>
void Client<T>::give_decoder(const nn::Decoder<T>& decoder) {
  role_.give_decoder(decoder);
  if (connection_) send(wire::MessageKind::weights, role_.decoder());
}

template <std::floating_point T>
nn::Part<T> Client<T>::fetch_server_part() {
  const auto& tail = role_.learner().tail();
  nn::Part<T> other{part().config, part().last, tail ? tail->first : part().config.depth};
  if (tail) other.classifier.reset();
  if (part().encoder) other.decoder.emplace(part().config.dim, part().encoder->options);
  read_weights<T>(ask(wire::MessageKind::fetch_weights, {}, wire::MessageKind::weights), other);
  return other;
}

template <std::floating_point T>
void Client<T>::close() {
  require_in_step("close");
  if (!checkpoints_) return send(wire::MessageKind::bye, {});
  if (checkpoints_->joint() != steps()) checkpoint();
  checkpoints_->save_if_possible(state(), shown(), true);
  send(wire::MessageKind::bye, {});
  checkpoints_->end(steps());
}

template <std::floating_point T>
void Client<T>::give_up(const ReasonedError& why) {
  if (connection_ && connection_->locked()->is_open()) connection_->tell(why);
  disconnect();
}

template <std::floating_point T>
void Client<T>::reconnect(transport::AnyLink link) {
  disconnect();
  auto opening =
      wire::Session::client(*state_, role_.settings(options_),
                            wire::options_on(link, options_.session), transport::Clock::now(),
                            checkpoints_ ? checkpoints_->offered() : std::vector<std::uint64_t>{});
  connection_ = std::make_unique<wire::Connection>(std::move(link), std::move(opening));
  wait_for(wire::MessageKind::welcome);
  if (checkpoints_)
    connected([&] { checkpoints_->follow(connection_->session()->agreed(), *state_, shown()); });
  // The server may have got it or not.
  if (!role_.decoder().empty() && session()->agreed().last_step == 0)
    send(wire::MessageKind::weights, role_.decoder());
  // A common checkpoint from the start on; and the server says how often it wants one.
  const bool is_asked = checkpoints_ && !checkpoints_->is_answered();
  if (is_asked && session()->agreed().last_step == steps()) checkpoint();
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
