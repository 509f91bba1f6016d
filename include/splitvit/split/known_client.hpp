// SPDX-License-Identifier: MIT
#pragma once

#include <memory>  // make_shared, shared_ptr, weak_ptr
#include <mutex>   // lock_guard, mutex

#include <splitvit/core/error.hpp>               // joined
#include <splitvit/core/state.hpp>               // show_state
#include <splitvit/split/messages.hpp>           // CheckpointMessage
#include <splitvit/split/party_checkpoints.hpp>  // CheckpointsOf
#include <splitvit/split/server_role.hpp>        // ServerRole
#include <splitvit/wire/connection.hpp>          // Connection
#include <splitvit/wire/handshake.hpp>           // Hello, Refusal, SessionId
#include <splitvit/wire/session_state.hpp>       // SessionState

namespace splitvit::inline SPLITVIT_BUILD::split {

/// What a server knows of a client that is or was connected: its role, its session, and what keeps
/// its checkpoints, if anything does. The thread that computes uses it, while another one may count
/// heartbeats in the session's state; so a checkpoint is written from a copy of it.
template <std::floating_point T>
struct KnownClient {
  explicit KnownClient(ServerRole<T> r, wire::SessionState s = {},
                       CheckpointsOf<KnownClient> kept = {})
      : role{std::move(r)}, checkpoints{std::move(kept)}, state{std::move(s)} {}

  /// What a checkpoint holds besides the session.
  void each_state(auto&& see) {
    show_state(role.learner(), see, "learner.");
    show_state(role, see);
  }

  std::uint64_t last_step() const {
    const std::lock_guard lock{*guard};
    return state.steps.last();
  }
  bool was_superseded() const {
    const std::lock_guard lock{*guard};
    return is_superseded;
  }
  /// Whether there is something to come back to. Call it under the guard.
  bool is_worth_keeping() const {
    return state.steps.last() > 0 || role.has_decoder() || is_superseded ||
           (checkpoints && checkpoints->holds(0));
  }
  /// Of this identity, from the beginning of the session on; before the client is connected.
  ///
  /// Returns why not, if the session is another one's.
  std::optional<wire::Refusal> belong_to(const std::string& identity) {
    if ((state.id != wire::SessionId{} || earlier) && state.identity != identity)
      return wire::Refusal{"identity", identity.empty() ? "none" : identity,
                           "a session of another one"};
    state.identity = identity;
    return std::nullopt;
  }

  /// Of a client that has come in a new session: its bytes and its identity are those of before.
  void take_over_from(std::shared_ptr<KnownClient> client) {
    earlier = std::move(client);
    const std::lock_guard lock{*earlier->guard};
    state.count_on(earlier->state);
    state.identity = earlier->state.identity;
  }

  // Nothing happens in these without checkpoints. What cannot be written is reported.

  /// Goes on from the newest checkpoint of an earlier process. Before the client is connected.
  ///
  /// Returns why not, if it is of another session.
  /// Errors  StorageError if it cannot be restored, or has other settings.
  std::optional<wire::Refusal> restore(const wire::Hello& hello, std::uint64_t seed) {
    if (!checkpoints) return std::nullopt;
    checkpoints->use(hello.settings, hello.client, seed);
    const auto newest = checkpoints->newest();
    if (!newest) return std::nullopt;
    if (newest->session != hello.session)
      return wire::Refusal{"session", "another one",
                           joined({"checkpoints of step ", newest->step})};
    checkpoints->restore(newest->step, state, checkpoints.state_of(*this));
    return std::nullopt;
  }
  /// Before the first step, so that a server that is started again knows the session.
  void save_first_checkpoint() {
    if (checkpoints && last_step() == 0 && !checkpoints->holds(0)) save_checkpoint();
  }
  void save_checkpoint_if_due() {
    if (checkpoints && checkpoints->is_due(last_step())) save_checkpoint();
  }
  void save_checkpoint(bool has_ended = false) {
    if (checkpoints)
      checkpoints->save_if_possible(present_state(), checkpoints.state_of(*this), has_ended);
  }
  /// The payload of the answer to a checkpoint message. `with_turns` says that the server saves all
  /// its clients together, when it gives turns.
  /// Errors  WireError for an invalid payload, or one of another step.
  std::vector<std::byte> answer_checkpoint(wire::Bytes question, bool with_turns) {
    using Held = CheckpointMessage::Held;
    wire::SessionState present = present_state();
    CheckpointMessage message = CheckpointMessage::read(question, present.steps.last());
    if (checkpoints)
      message.held = checkpoints->save_joint(std::move(present), checkpoints.state_of(*this));
    else
      message.held = with_turns ? Held::with_turns : Held::never;
    message.every = checkpoints ? checkpoints->every() : 0;
    return message.payload();
  }
  /// The client has said goodbye.
  void end_checkpoints() {
    save_checkpoint(true);
    if (checkpoints) checkpoints->end(last_step());
  }

  ServerRole<T> role;  // this and the next two under the server's lock of what computes
  CheckpointsOf<KnownClient> checkpoints;
  std::vector<std::byte> answer;  // to a question; it lives until it is written
  bool awaits_turn = false;       // it has asked for its next turn

  // Of the next two: the connection's.
  std::shared_ptr<std::mutex> guard = std::make_shared<std::mutex>();
  wire::SessionState state;
  bool is_superseded = false;  // a newer connection has taken over

  std::shared_ptr<KnownClient> earlier;        // whose place it takes when it is admitted
  std::weak_ptr<wire::Connection> connection;  // the rest under the server's guard of all clients
  bool is_connected = true;
  wire::Time left = {};         // when its link broke
  std::uint64_t last_used = 0;  // when it was admitted

 private:
  wire::SessionState present_state() const {
    const std::lock_guard lock{*guard};
    return state;
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
