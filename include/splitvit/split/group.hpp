// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>  // nanoseconds
#include <memory>  // shared_ptr

#include <splitvit/core/state.hpp>          // StateVisitor
#include <splitvit/nn/part.hpp>             // Part
#include <splitvit/split/known_client.hpp>  // KnownClient
#include <splitvit/split/learner.hpp>       // Learner
#include <splitvit/split/report.hpp>        // Evaluation, StepReport
#include <splitvit/split/server_role.hpp>   // ServerRole
#include <splitvit/wire/handshake.hpp>      // Hello

namespace splitvit::inline SPLITVIT_BUILD::split {

// A program with a group includes aggregator.hpp, and group_checkpoints.hpp where it keeps those; a
// server without one compiles neither.
template <std::floating_point T>
class AnySharing;
template <std::floating_point T>
class Aggregator;
template <std::floating_point T>
class GroupCheckpoints;

/// Who of a group of clients may go on, as a server asks it. Aggregator is the one that there is.
///
/// Errors  As Aggregator's functions of these names.
template <std::floating_point T>
class Group {
 public:
  virtual ~Group() = default;

  /// How many clients are registered.
  virtual std::uint32_t clients() const = 0;

  /// Whether the training is over.
  virtual bool is_over() const = 0;

  /// The average of the server parts; the part itself where all clients share it.
  virtual const nn::Part<T>& server_part() const = 0;

  /// A client asks for its next turn.
  virtual void ask(std::uint32_t client, const ServerRole<T>& role,
                   std::span<const std::byte> payload) = 0;
  /// Whether a client that has asked can be answered now.
  virtual bool has_turn(std::uint32_t client) const = 0;
  /// The payload of the answer.
  virtual std::vector<std::byte> answer(std::uint32_t client) = 0;
  /// How many turns all clients were given, whether they have heard of them or not.
  virtual std::uint64_t turns_given() const = 0;
  /// The bytes of the answer to a client that has not heard of its last turn; nothing if it has.
  virtual std::optional<std::uint64_t> unheard_bytes(std::uint32_t client) const = 0;

  /// The others go on without a client, until it asks again.
  virtual void skip(std::uint32_t client) = 0;
  /// Whether a client was skipped, and has not asked again.
  virtual bool is_away(std::uint32_t client) const = 0;
  /// The payload of the answer to its step, which is not taken.
  virtual std::vector<std::byte> answer_missed(std::uint32_t client) const = 0;
  /// For how long the others wait before they go on without a client; 0: without end.
  virtual std::chrono::nanoseconds deadline() const = 0;

  /// Whether the client may take its next step now.
  virtual bool may_step(std::uint32_t client) const = 0;
  /// It has taken it.
  virtual void step(std::uint32_t client, const StepReport& report) = 0;

  /// Where what the evaluator finds is added up while it evaluates; null for other clients.
  virtual Evaluation* evaluation(std::uint32_t client) = 0;
  /// The client has come back: an evaluation begins anew.
  virtual void came_back(std::uint32_t client) = 0;
  /// The client has come in a new session, of which nothing is known.
  virtual void came_anew(std::uint32_t client) = 0;

  /// Of the time when turns have been given and none of them has begun.
  virtual void each_state(StateVisitor& see) = 0;
  /// Its state is an earlier one now, and these are the learners of its clients: it forgets what
  /// has come since, and clients that had asked ask again.
  virtual void went_back(const std::vector<std::shared_ptr<Learner<T>>>& learners) = 0;

  /// Those for whom all others wait, by their numbers.
  virtual std::vector<std::uint32_t> awaited() const = 0;
};

/// What saves a group, as a server asks it. GroupCheckpoints is the one that there is. Only the
/// thread that computes calls it.
template <std::floating_point T>
class SavesGroup {
 public:
  virtual ~SavesGroup() = default;

  /// Turns were given, and nobody has heard of them. What cannot be written is reported.
  virtual void save() = 0;
  /// The training is over, and all clients have heard of it.
  virtual void end() = 0;
  /// A client has come back. If it cannot go on from here but from what was saved last, all go back
  /// to that. Returns what is now known of the client.
  ///
  /// Errors  StorageError if that cannot be restored.
  virtual std::shared_ptr<KnownClient<T>> meet(const wire::Hello& hello,
                                               std::shared_ptr<KnownClient<T>> client) = 0;
  /// The step of the client that was saved last; nothing before that.
  virtual std::optional<std::uint64_t> step_of(std::uint32_t client) const = 0;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
