// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/split/report.hpp>       // Evaluation, StepReport
#include <splitvit/split/server_role.hpp>  // ServerRole

namespace splitvit::inline SPLITVIT_BUILD::split {

/// Who of a group of clients may go on, as a server asks it. Aggregator is the one that there is; a
/// server without a group does not compile it.
///
/// Errors  As Aggregator's functions of these names.
template <std::floating_point T>
class Group {
 public:
  virtual ~Group() = default;

  /// How many clients are registered.
  virtual std::uint32_t clients() const = 0;

  /// A client asks for its next turn.
  virtual void ask(std::uint32_t client, const ServerRole<T>& role,
                   std::span<const std::byte> payload) = 0;
  /// Whether a client that has asked can be answered now.
  virtual bool has_turn(std::uint32_t client) const = 0;
  /// The payload of the answer.
  virtual std::vector<std::byte> answer(std::uint32_t client) = 0;

  /// Whether the client may take its next step now.
  virtual bool may_step(std::uint32_t client) const = 0;
  /// It has taken it.
  virtual void step(std::uint32_t client, const StepReport& report) = 0;

  /// Where what the evaluator finds is added up while it evaluates; null for other clients.
  virtual Evaluation* evaluation(std::uint32_t client) = 0;
  /// The client has come back: an evaluation begins anew.
  virtual void came_back(std::uint32_t client) = 0;

  /// Those for whom all others wait, by their numbers.
  virtual std::vector<std::uint32_t> awaited() const = 0;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
