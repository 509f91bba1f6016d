// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp
#include <chrono>     // duration, hours, milliseconds, minutes, nanoseconds, seconds

#include <splitvit/core/error.hpp>          // Reason, TransportError
#include <splitvit/transport/concepts.hpp>  // Deadline, deadline_in
#include <splitvit/wire/frame.hpp>          // message_ceiling
#include <splitvit/wire/handshake.hpp>      // Versions

namespace splitvit::inline SPLITVIT_BUILD::wire {

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

/// When one side must send, and when its peer has been silent for too long. The whole handshake has
/// one deadline; after it the peer may be silent for two heartbeats and a second or, without
/// heartbeats, for the idle timeout.
class Silence {
 public:
  /// The handshake begins.
  Silence(const SessionOptions& options, Time now)
      : idle_timeout_{options.idle_timeout},
        limit_{options.handshake_timeout},
        begun_{now},
        heard_{now},
        spoken_{now} {}

  /// The handshake is over, and this interval of heartbeats is agreed; 0 means none.
  void open(std::chrono::nanoseconds heartbeat) {
    is_open_ = true;
    heartbeat_ = heartbeat;
    limit_ = has_heartbeats() ? 2 * heartbeat + std::chrono::seconds{1} : idle_timeout_;
  }

  /// A byte was received, or this side begins to wait for one.
  void heard(Time now) { heard_ = now; }
  /// A byte was sent.
  void spoke(Time now) { spoken_ = now; }

  /// When this side must send, unless other bytes wait to be written; Time::max() if never.
  Time speak_at() const {
    return has_heartbeats() ? transport::deadline_in(heartbeat_, spoken_) : Time::max();
  }
  /// When the peer has been silent for too long; Time::max() if never.
  Time give_up_at() const { return transport::deadline_in(limit_, since()); }

  /// What to throw at give_up_at() or later. `waiting` says what this side waits for.
  TransportError timed_out(Time now, const std::string& waiting) const {
    std::string seconds = std::to_string(std::chrono::duration<double>(now - since()).count());
    seconds.resize(seconds.find('.') + 2);
    return {Reason::timed_out, {waiting, ": the peer was silent for ", seconds, " s"}};
  }

 private:
  bool has_heartbeats() const { return heartbeat_ != heartbeat_.zero(); }
  Time since() const { return is_open_ ? heard_ : begun_; }

  std::chrono::nanoseconds idle_timeout_, limit_, heartbeat_{0};
  Time begun_, heard_, spoken_;  // start; last byte received; last byte sent
  bool is_open_ = false;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::wire
