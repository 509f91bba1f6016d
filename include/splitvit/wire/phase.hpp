// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>  // size_t
#include <string>   // string

#include <splitvit/core/error.hpp>  // Reason, WireError
#include <splitvit/wire/frame.hpp>  // MessageKind, name

// Phase: how far a connection has come, and which messages the peer may send then.

namespace splitvit::wire {

/// How far one party has come on its connection.
enum class Phase {
  awaits_hello,    ///< a server that waits for hello
  decides,         ///< a server that has read hello and not answered it
  awaits_welcome,  ///< a client that waits for the answer to hello
  open,            ///< the handshake is complete
  ended,
};

/// Which party this side is.
enum class Role { server, client };

/// Whether the peer may send this message now.
constexpr bool may_come(MessageKind kind, Phase phase, Role role) {
  const bool is_open = phase == Phase::open;
  switch (kind) {
    case MessageKind::error:
      return true;
    case MessageKind::hello:
      return phase == Phase::awaits_hello;
    case MessageKind::welcome:
    case MessageKind::refuse:
      return phase == Phase::awaits_welcome;
    case MessageKind::forward:
    case MessageKind::evaluate:
    case MessageKind::fetch_weights:
      return is_open && role == Role::server;
    case MessageKind::backward:
    case MessageKind::evaluated:
      return is_open && role == Role::client;
    case MessageKind::heartbeat:
    case MessageKind::weights:
    case MessageKind::bye:
      return is_open;
  }
  return false;
}

/// Errors  WireError (wrong_message) for a message that must not come now.
inline void require_may_come(MessageKind kind, Phase phase, Role role) {
  if (may_come(kind, phase, role)) return;
  const char* const when[] = {"before hello", "before the answer to hello", "in answer to hello",
                              "now", "after the end"};
  throw WireError(Reason::wrong_message, std::string{name(kind)} + " must not come " +
                                             when[static_cast<std::size_t>(phase)]);
}

}  // namespace splitvit::wire
