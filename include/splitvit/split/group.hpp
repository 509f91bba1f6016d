// SPDX-License-Identifier: MIT
#pragma once

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
  virtual void step(std::uint32_t client) = 0;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
