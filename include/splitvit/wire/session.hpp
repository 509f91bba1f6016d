// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min
#include <chrono>     // milliseconds

#include <splitvit/core/bytes.hpp>      // ByteReader
#include <splitvit/core/error.hpp>      // joined, Reason, ReasonedError, TransportError, WireError
#include <splitvit/wire/admission.hpp>  // check_welcome, decide_admission, hello_of, throw_refusal
#include <splitvit/wire/frame.hpp>      // Bytes, MessageKind, frame_header_bytes, name
#include <splitvit/wire/handshake.hpp>  // Hello, Refusal, Settings, Welcome, payloads
#include <splitvit/wire/message.hpp>  // Event, is_without_step, MessageReader, Phase, Role, require_may_come
#include <splitvit/wire/outbox.hpp>           // Outbox
#include <splitvit/wire/session_options.hpp>  // SessionOptions, Silence, Time
#include <splitvit/wire/session_state.hpp>    // Count, SessionState, digest_of
#include <splitvit/wire/steps.hpp>            // ClientStep, ReplyCache, StepNumber

namespace splitvit::inline SPLITVIT_BUILD::wire {

/// The protocol of one party on one connection, without I/O and without a clock: handshake, frames,
/// step numbers, replies to repeated steps, heartbeats, timeouts, the counting of bytes. It turns
/// received bytes into events, and messages into bytes to write; io.hpp connects it to a link, and
/// connection.hpp with a thread that reads.
///
///   SessionState state;                                        // lives as long as the training
///   auto session = Session::client(state, settings, {}, now);  // one for each connection
///   next(link, session);                                       // writes hello, reads the welcome
///   session.send_step(parts);                                  // a forward message
///   const Event reply = next(link, session);                   // its backward message
///   session.commit();                                          // the step is applied
///
/// At the server a forward message is computed into new_reply(); prepare() does all that can fail;
/// then the step is applied, and commit(), which cannot fail, queues the reply.
///
/// Write what is queued before you read more: otherwise a peer that repeats its last step makes the
/// queue grow. A server answers a part before it takes the next one; all replies to a step have at
/// most as many bytes as a message.
///
/// Errors  Most calls: WireError (superseded) once a newer connection has taken over the state,
///         TransportError (closed) once the session is over, std::logic_error for a call that the
///         protocol does not allow now. After an error a session can only send what `fail` has
///         queued; a new session continues with its state.
class Session {
 public:
  /// A client's side of a new connection. Its hello is queued.
  ///
  /// Errors  std::invalid_argument for settings or options that cannot be sent.
  static Session client(SessionState& state, Settings settings, const SessionOptions& options,
                        Time now, std::vector<std::uint64_t> generations = {}) {
    Session session{options, now};
    session.state_ = &state;
    session.phase_ = Phase::awaits_welcome;
    session.connection_ = state.connection;
    session.hello_ = hello_of(state, std::move(settings), options, std::move(generations));
    state.sent.add_once(MessageKind::hello,
                        session.queue(MessageKind::hello, hello_payload(session.hello_)));
    return session;
  }

  /// A server's side of a new connection. It waits for hello, and then for admit or refuse.
  static Session server(const SessionOptions& options, Time now) { return {options, now}; }

  /// Server: the client's hello, after the event `hello`.
  const Hello& hello() const { return hello_; }

  /// Server: admits the client. `state` is new, or the state of the session in hello; its older
  /// connection ends. `generations` are the steps of this side's checkpoints.
  ///
  /// Errors  As decide_admission; WireError (refused) where it refuses the client, which is told.
  ///         The state is unchanged then.
  void admit(SessionState& state, const std::vector<std::uint64_t>& generations = {}) {
    require_phase(Phase::decides, "admit");
    const WelcomeOrRefusal answer = decide_admission(hello_, state, generations, options_);
    if (answer.refusal) give_refusal(*answer.refusal);
    const Count sent = queue(MessageKind::welcome, welcome_payload(answer.welcome));
    // Nothing fails from here on.
    state_ = &state;
    state.id = answer.welcome.session;
    state.client = hello_.client;
    state.steps.discard();
    state.received.add_once(MessageKind::hello, hello_count_);
    state.sent.add_once(MessageKind::welcome, sent);
    begin(answer.welcome);
  }

  /// Server. Errors  WireError (refused), always, with the text that the client gets.
  [[noreturn]] void refuse(const Refusal& refusal) {
    require_phase(Phase::decides, "refuse");
    give_refusal(refusal);
  }

  /// Server: whether hello has come and is not answered.
  bool has_hello() const { return phase_ == Phase::decides; }
  /// What was agreed, once the session is open.
  const Welcome& agreed() const { return agreed_; }
  bool is_open() const { return phase_ == Phase::open; }
  bool is_client() const { return role_ == Role::client; }
  /// After a goodbye of either side, a refusal, or an error that ended the session.
  bool is_over() const { return phase_ == Phase::ended; }

  /// Queues a message without a step number. Long parts are borrowed until they are written.
  ///
  /// Errors  WireError (too_long) above the agreed limit. After any error nothing is queued.
  void send(MessageKind kind, std::span<const Bytes> parts = {}) {
    require_phase(Phase::open, name(kind));
    if (!is_without_step(kind))
      throw std::logic_error(joined({"send: the session itself sends ", name(kind)}));
    const Count sent = outbox_.queue(kind, parts);
    state_->count_sent(kind, sent, parts.empty() ? Bytes{} : parts[0], is_client());
    if (kind == MessageKind::bye) phase_ = Phase::ended;
  }

  /// Client: queues the forward message of next(), the next part of the current step.
  ///
  /// Errors  As send; std::logic_error if this step was sent before with other contents, which the
  ///         server may have applied.
  void send_step(std::span<const Bytes> parts) {
    require_phase(Phase::open, "forward");
    if (!is_client()) throw std::logic_error("send_step: this is a server's session");
    const StepNumber at = next();
    const std::uint32_t digest = digest_of(parts);
    state_->prepare_step(at, digest);
    state_->count_step(at, digest, outbox_.queue(MessageKind::forward, at, parts));
    client_step_.sent();
  }

  /// Client: the number of the next forward message. Server: of the next reply.
  StepNumber next() const { return is_client() ? client_step_.next(last()) : state_->steps.next(); }

  /// Server: an empty buffer for the reply to next().
  std::vector<std::byte>& new_reply() {
    require_phase(Phase::open, "backward");
    if (!asked_) throw std::logic_error("new_reply: no step waits for a reply");
    prepared_ = false;
    return state_->steps.new_reply();
  }
  /// Server: does everything in reply() and commit() that can fail. Apply the step between this
  /// call and commit(). No other connection may be admitted in between.
  ///
  /// Errors  WireError (too_long) for a reply above the agreed limit; std::logic_error without one.
  ///         Nothing has changed then. Client: as commit().
  void prepare() {
    if (is_client()) return client_step_.require_answers(last());
    require_phase(Phase::open, "backward");
    const std::vector<std::byte>* const reply = state_->steps.begun_reply();
    if (!asked_ || reply == nullptr)
      throw std::logic_error("commit: there is no reply to " + next().text());
    state_->steps.require_room(agreed_.largest_message);
    outbox_.prepare(MessageKind::backward, reply->size());
    prepared_ = true;
  }
  /// Server: queues the reply in new_reply(). Another part of the step follows.
  ///
  /// Errors  As prepare(), unless prepare() was called.
  void reply() { queue_reply(keep_reply()); }
  /// The step is applied. Server: its reply is queued, and kept for a client that repeats it.
  ///
  /// Errors  Server: as reply(). Client: std::logic_error if the step is not answered.
  void commit() {
    if (is_client()) {
      client_step_.require_answers(last());
      client_step_ = {};
      return state_->steps.commit();
    }
    commit_without_reply();
    reply_to_last();
  }
  /// Server: the same, but nothing is queued, so that heartbeats go on until reply_to_last().
  void commit_without_reply() {
    unsent_ = keep_reply();
    state_->steps.commit();
  }
  /// Server: queues the reply to the step of commit_without_reply().
  void reply_to_last() {
    if (unsent_ == StepNumber{}) throw std::logic_error("reply_to_last: no reply waits");
    queue_reply(std::exchange(unsent_, {}));
    earlier_replies_end_ = replies_end_;
    replies_end_ = outbox_.bytes_queued();
  }

  /// Queues an error message, if the peer can read one. Ends the session.
  void fail(const ReasonedError& error) {
    if (phase_ == Phase::ended) return;
    const Phase before = std::exchange(phase_, Phase::ended);
    // Before welcome a client does not know the connection number that the server expects.
    if (before == Phase::awaits_welcome || is_superseded()) return;
    const Count sent = queue(MessageKind::error, error_payload(error.reason(), error.what()));
    if (state_ != nullptr) state_->sent.add(MessageKind::error, sent);
  }

  /// The bytes to write next, valid until `written`; empty if there are none.
  Bytes output() const { return is_superseded() ? Bytes{} : outbox_.front(); }
  void written(std::size_t n, Time now) {
    outbox_.written(n);
    silence_.spoke(now);
  }

  /// Room for the next bytes; never empty.
  std::span<std::byte> space() { return reader_.space(payloads_.newest); }

  /// The first n bytes of space() are filled. Returns a message, if one is complete for the caller.
  /// A repeated step is answered from the cache.
  ///
  /// Errors  WireError: what MessageReader throws; wrong_message for a message that the peer must
  ///         not send now; wrong_step; refused or in_use at a client, with the server's text, and
  ///         at a server for a client of another version; peer_failed if the peer has sent an
  ///         error.
  std::optional<Event> filled(std::size_t n, Time now) {
    const std::optional<MessageKind> kind = reader_.filled(n, payloads_.newest);
    silence_.heard(now, n, reader_.is_in_frame(),
                   reader_.is_in_message() || (kind && *kind != MessageKind::heartbeat));
    if (!kind) return std::nullopt;
    require_newest();
    require_may_come(*kind, phase_, role_);
    using enum MessageKind;
    if (*kind == hello) return read_first();
    if (*kind == welcome || *kind == refuse) return read_answer(*kind);
    if (*kind == forward) return read_forward();
    if (*kind == backward) return read_backward();
    if (*kind == heartbeat) {  // it does not use payloads_.newest
      state_->received.add(heartbeat, {.messages = 1, .framed = frame_header_bytes});
      return std::nullopt;
    }
    if (*kind == error || *kind == bye) phase_ = Phase::ended;
    if (state_ != nullptr)
      state_->received.add(*kind, count(), state_->received_turns.pass(*kind, payloads_.newest));
    if (*kind == error) throw_peer_error(payloads_.newest);
    return event(*kind);
  }

  const MessageReader& reader() const { return reader_; }
  /// That of the last event stays valid until the next message has begun, unless it is kept.
  Payloads& payloads() { return payloads_; }
  /// The peer's silence is measured from now on: for callers that do not read while they compute.
  void listen(Time now) { silence_.listen(now); }
  /// The wait for a message begins now. For callers that always read.
  void waits(Time now) { silence_.waits(now); }

  /// When tick has something to do; Time::max() if never.
  Time wake_at() const {
    if (phase_ == Phase::ended) return Time::max();
    const Time give_up = silence_.give_up_at();
    return outbox_.empty() ? std::min(give_up, silence_.speak_at()) : give_up;
  }

  /// Queues a heartbeat if one is due and no other bytes wait.
  ///
  /// Errors  TransportError (timed_out) if the peer was silent, or a frame slow, for too long.
  void tick(Time now) {
    if (phase_ == Phase::ended) return;
    require_newest();
    if (now >= silence_.give_up_at()) {
      const bool was_open = std::exchange(phase_, Phase::ended) == Phase::open;
      throw silence_.timed_out(
          now, was_open ? joined({"waiting for step ", last() + 1, " to go on"}) : "handshake");
    }
    if (outbox_.empty() && now >= silence_.speak_at()) {
      state_->sent.add(MessageKind::heartbeat, outbox_.queue(MessageKind::heartbeat, {}));
      silence_.spoke(now);
    }
  }

  /// The current step is not taken: both sides call this, the server instead of a reply.
  void drop_step() {
    require_phase(Phase::open, "drop_step");
    asked_ = prepared_ = false;
    client_step_ = {};
    state_->drop_step();
  }

  const SessionOptions& options() const { return options_; }

 private:
  Session(const SessionOptions& options, Time now) : options_{options}, silence_{options, now} {}

  std::uint64_t last() const { return state_->steps.last(); }
  void require_phase(Phase wanted, const char* what) const {
    require_newest();
    if (phase_ == wanted) return;
    if (phase_ == Phase::ended)
      throw TransportError(Reason::closed, {what, ": the session is over"});
    throw std::logic_error(joined({what, ": the session is not open"}));
  }
  bool is_superseded() const { return state_ != nullptr && state_->connection != connection_; }
  void require_newest() const {
    if (is_superseded())
      throw WireError(Reason::superseded,
                      {"connection ", connection_, " of this session is over: connection ",
                       state_->connection, " has taken its place"});
  }

  std::optional<Event> read_first() {
    hello_count_ = count();
    HelloOrRefusal came = read_hello(payloads_.newest, options_.versions);
    if (came.refusal) give_refusal(*came.refusal);
    hello_ = std::move(came.hello);
    phase_ = Phase::decides;
    return event(MessageKind::hello);
  }
  [[noreturn]] void give_refusal(const Refusal& refusal) {
    const std::vector<std::byte> payload = refusal_payload(refusal);
    queue(MessageKind::refuse, payload);
    phase_ = Phase::ended;
    throw_refusal(payload);
  }
  std::optional<Event> read_answer(MessageKind kind) {
    state_->received.add_once(kind, count());
    if (kind == MessageKind::refuse) {
      phase_ = Phase::ended;
      throw_refusal(payloads_.newest);
    }
    const Welcome welcome = read_welcome(payloads_.newest, hello_);
    check_welcome(welcome, last());
    state_->id = welcome.session;
    begin(welcome);
    return event(kind);
  }
  /// The handshake is complete: later frames carry the connection's number.
  void begin(const Welcome& welcome) {
    agreed_ = welcome;
    state_->connection = connection_ = welcome.connection;
    outbox_.begin(welcome.connection, welcome.largest_message);
    reader_.begin(welcome.connection, welcome.largest_message);
    silence_.open(std::chrono::milliseconds{welcome.heartbeat_ms});
    role_ = phase_ == Phase::awaits_welcome ? Role::client : Role::server;
    phase_ = Phase::open;
  }

  Count queue(MessageKind kind, Bytes payload) { return outbox_.queue(kind, std::array{payload}); }
  /// Keeps the reply in new_reply(), and returns its number.
  StepNumber keep_reply() {
    if (is_client()) throw std::logic_error("reply: this is a client's session");
    if (!prepared_) prepare();
    prepared_ = false;
    const StepNumber at = next();
    state_->steps.keep();
    return at;
  }
  void queue_reply(StepNumber at) {
    const Count sent =
        outbox_.queue(MessageKind::backward, at, std::array{Bytes{state_->steps.reply_to(at)}});
    state_->sent.add(MessageKind::backward, sent, state_->sent_steps.pass(at));
    asked_ = false;
  }

  /// Of the received message.
  Count count() const {
    return {.messages = 1, .payload = payloads_.newest.size(), .framed = reader_.last_framed()};
  }
  void count_step(const Event& event) {
    state_->received.add(event.kind, count(), state_->received_steps.pass(event.at));
  }
  Event event(MessageKind kind) const {
    return {.kind = kind, .at = {}, .payload = payloads_.newest};
  }

  std::optional<Event> read_forward() {
    const Event came = numbered_event(MessageKind::forward, payloads_.newest);
    const ReplyCache::Verdict verdict = state_->steps.check(came.at);
    const bool resend = verdict == ReplyCache::Verdict::resend;
    // The cache keeps the replies to two steps, and output() may still borrow them.
    if (asked_ || (!resend && came.at.micro == 0 && outbox_.bytes_written() < earlier_replies_end_))
      throw WireError(Reason::wrong_message,
                      {"forward: ", came.at.text(), " came before an earlier reply was read"});
    count_step(came);
    if (verdict == ReplyCache::Verdict::ignore) return std::nullopt;
    asked_ = !resend;
    if (!resend) return came;
    queue_reply(came.at);
    replies_end_ = outbox_.bytes_queued();
    return std::nullopt;
  }
  std::optional<Event> read_backward() {
    const Event came = numbered_event(MessageKind::backward, payloads_.newest);
    client_step_.answered(came.at, last());
    count_step(came);
    return came;
  }

  SessionOptions options_;
  SessionState* state_ = nullptr;
  Phase phase_ = Phase::awaits_hello;
  Role role_ = Role::server;  // a client sets it when the session opens
  std::uint32_t connection_ = 0;
  Hello hello_;
  Count hello_count_;
  Welcome agreed_;
  Outbox outbox_;
  MessageReader reader_;
  Silence silence_;
  Payloads payloads_;
  ClientStep client_step_;
  bool asked_ = false;                     // server: a forward message waits for its reply
  bool prepared_ = false;                  // server: prepare() has been called for it
  StepNumber unsent_{};                    // server: applied, its reply not queued; 0: none
  std::uint64_t earlier_replies_end_ = 0;  // where the replies to the step before the last end
  std::uint64_t replies_end_ = 0;          // where the replies to the last step end
};

}  // namespace splitvit::inline SPLITVIT_BUILD::wire
