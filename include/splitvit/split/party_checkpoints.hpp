// SPDX-License-Identifier: MIT
#pragma once

#include <functional>  // function
#include <memory>      // shared_ptr

#include <splitvit/core/state.hpp>          // StateVisitor
#include <splitvit/split/messages.hpp>      // CheckpointMessage
#include <splitvit/wire/handshake.hpp>      // Hello, SessionId, Settings, Welcome
#include <splitvit/wire/session_state.hpp>  // SessionState

namespace splitvit::inline SPLITVIT_BUILD::split {

/// Shows what a party saves besides its session. See core/state.hpp.
using ShowState = std::function<void(StateVisitor&)>;

/// The checkpoints that one party keeps of one session, as Client and Server use them. Checkpoints
/// keeps them in files; a program that keeps none compiles neither files nor what shows its state.
class PartyCheckpoints {
 public:
  virtual ~PartyCheckpoints() = default;

  /// Sets what must be equal to go on.
  /// Errors  StorageError (wrong_content) if the newest checkpoint has other settings.
  virtual void use(const wire::Settings& settings, std::uint32_t client, std::uint64_t seed) = 0;

  /// What a checkpoint is of.
  struct Saved {
    wire::SessionId session{};
    std::uint64_t step = 0;
  };
  /// The newest checkpoint at the start.
  virtual std::optional<Saved> newest() const = 0;
  virtual bool holds(std::uint64_t step) const = 0;
  /// The newest step of which the peer is known to have a checkpoint, too.
  virtual std::optional<std::uint64_t> joint() const = 0;

  virtual bool is_due(std::uint64_t step) const = 0;
  /// Saves a copy of the session, so that its owner need not lock it while a file is written.
  /// Returns whether it is written; if not, it reports the failure.
  virtual bool save_if_possible(wire::SessionState session, const ShowState& party,
                                bool has_ended = false) = 0;
  /// Restores the state after a step.
  ///
  /// Errors  StorageError if the checkpoint cannot be read or is of something else. `session` and
  ///         `party` are then unchanged.
  virtual void restore(std::uint64_t step, wire::SessionState& session, const ShowState& party) = 0;

  /// The steps to name in the handshake: the newest, and the oldest, which is joint if there are
  /// more than can be named.
  virtual std::vector<std::uint64_t> offered() const = 0;
  /// Server, before it admits a client: goes back if the two cannot go on from where they are and
  /// hold a common step.
  virtual void meet(const wire::Hello& hello, wire::SessionState& session,
                    const ShowState& party) = 0;
  /// Client, after a welcome: goes back if the server is at an earlier step.
  virtual void follow(const wire::Welcome& welcome, wire::SessionState& session,
                      const ShowState& party) = 0;
  /// Both: the newest common step of the handshake is joint.
  virtual void agree(const wire::Welcome& welcome) = 0;

  /// Server: how often it wants one; 0: it does not mind.
  virtual std::uint64_t every() const = 0;
  /// Server: answers a checkpoint message of the client, which holds a checkpoint of this step.
  virtual CheckpointMessage::Held save_joint(wire::SessionState session,
                                             const ShowState& party) = 0;
  /// Client: whether the server has said how often it wants one.
  virtual bool is_answered() const = 0;
  /// Client: the server's answer to its checkpoint message.
  virtual void answered(const CheckpointMessage& answer) = 0;
  /// Client: whether the server has said that it keeps one when it gives turns, and no others.
  virtual bool are_with_turns() const = 0;

  /// The session has ended at this step. Keeps only its checkpoint, if it is joint.
  virtual void end(std::uint64_t step) = 0;
};

/// What keeps a party's checkpoints, if anything does, and how the party shows its state. Only a
/// program that makes one from a pointer compiles the latter.
template <class Party>
class CheckpointsOf {
 public:
  CheckpointsOf() = default;
  template <std::derived_from<PartyCheckpoints> Kept>
  CheckpointsOf(std::shared_ptr<Kept> kept) : kept_{std::move(kept)}, show_{show} {}

  explicit operator bool() const { return kept_ != nullptr; }
  PartyCheckpoints* operator->() const { return kept_.get(); }

  /// The party's state, while the party lives.
  ShowState state_of(Party& party) const {
    return [show = show_, &party](StateVisitor& see) { show(party, see); };
  }

 private:
  static void show(Party& party, StateVisitor& see) { party.each_state(see); }

  std::shared_ptr<PartyCheckpoints> kept_;
  void (*show_)(Party& party, StateVisitor& see) = nullptr;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
