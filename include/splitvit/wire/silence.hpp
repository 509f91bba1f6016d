// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>  // duration, nanoseconds, seconds
#include <string>  // string, to_string

#include <splitvit/core/error.hpp>            // Reason, TransportError
#include <splitvit/wire/session_options.hpp>  // SessionOptions, Time

// Silence: when a party must send, and when its peer has been silent for too long. It has no clock
// and sends nothing.

namespace splitvit::wire {

/// The silence of both parties on one connection.
///
/// The handshake as a whole has one deadline. After it the peer may be silent for two heartbeats
/// and a second or, without heartbeats, for the idle timeout.
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
  Time speak_at() const { return has_heartbeats() ? later(spoken_, heartbeat_) : Time::max(); }
  /// When the peer has been silent for too long; Time::max() if never.
  Time give_up_at() const { return later(since(), limit_); }

  /// What to throw at give_up_at() or later. `waiting` says what this side waits for.
  TransportError timed_out(Time now, const std::string& waiting) const {
    std::string seconds = std::to_string(std::chrono::duration<double>(now - since()).count());
    seconds.resize(seconds.find('.') + 2);
    return {Reason::timed_out, waiting + ": the peer was silent for " + seconds + " s"};
  }

 private:
  bool has_heartbeats() const { return heartbeat_ != heartbeat_.zero(); }
  Time since() const { return is_open_ ? heard_ : begun_; }
  /// from + wait, or Time::max() if that overflows.
  static Time later(Time from, std::chrono::nanoseconds wait) {
    return wait > Time::max() - from ? Time::max() : from + wait;
  }

  std::chrono::nanoseconds idle_timeout_, limit_, heartbeat_{0};
  Time begun_, heard_, spoken_;  // start; last byte received; last byte sent
  bool is_open_ = false;
};

}  // namespace splitvit::wire
