// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp
#include <chrono>     // duration_cast, hours, milliseconds, minutes, nanoseconds, seconds
#include <cstdint>    // int64_t, uint32_t, uint64_t

#include <splitvit/transport/concepts.hpp>  // Deadline
#include <splitvit/wire/handshake.hpp>      // Versions
#include <splitvit/wire/message.hpp>        // message_ceiling

// SessionOptions: the limits and times of one side of a session.

namespace splitvit::wire {

using Time = transport::Deadline;

/// Limits and times of one side.
struct SessionOptions {
  std::uint64_t largest_message = message_ceiling;  ///< bytes; the smaller of both sides is used
  std::chrono::nanoseconds handshake_timeout = std::chrono::seconds{10};
  /// Interval of heartbeats, whole milliseconds; the smaller of both sides is used; 0 on either
  /// side means none. With heartbeats a peer counts as dead after two intervals and a second
  /// without a byte, so a side that asks for them must read and tick while it computes.
  std::chrono::nanoseconds heartbeat{0};
  /// Without heartbeats: the longest silence of the peer while this side waits for it.
  std::chrono::nanoseconds idle_timeout = std::chrono::minutes{10};
  std::chrono::nanoseconds write_timeout = std::chrono::seconds{10};  ///< without progress
  Versions versions = {};

  /// The heartbeat as the handshake proposes it: from 0 to a day.
  std::uint32_t heartbeat_ms() const {
    using std::chrono::milliseconds;
    const std::int64_t count = std::chrono::duration_cast<milliseconds>(heartbeat).count();
    const std::int64_t day = milliseconds{std::chrono::hours{24}}.count();
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(count, 0, day));
  }
};

}  // namespace splitvit::wire
