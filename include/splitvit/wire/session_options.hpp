// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, min
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
  /// without a byte, so a side that asks for them must read and tick while it computes, as
  /// wire::Connection does.
  std::chrono::nanoseconds heartbeat = std::chrono::seconds{5};
  /// The longest wait for the next byte of a message, heartbeats not counted. 0: as long as the
  /// peer lives, or ten minutes where no heartbeat says so.
  std::chrono::nanoseconds step_timeout{0};
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

/// Whether a frame comes too slowly: less than 30 KiB in 30 s.
class FrameRate {
 public:
  /// So many bytes were received. `goes_on` says whether more of the frame must come.
  void received(std::size_t bytes, bool goes_on, Time now) {
    bytes_ += bytes;
    if (!goes_on)
      from_ = Time::max();
    else if (from_ == Time::max() || bytes_ >= least)
      restart(now);
  }
  /// Measures anew, if a frame is under way: this side has not read for a while.
  void listen(Time now) {
    if (from_ != Time::max()) restart(now);
  }
  /// Time::max() while no frame is under way.
  Time give_up_at() const { return transport::deadline_in(window, from_); }

 private:
  static constexpr std::size_t least = std::size_t{30} << 10;
  static constexpr std::chrono::seconds window{30};

  void restart(Time now) {
    from_ = now;
    bytes_ = 0;
  }

  Time from_ = Time::max();
  std::size_t bytes_ = 0;
};

/// When one side must send, and when its peer has been silent for too long. The whole handshake has
/// one deadline; after it the peer may be silent for two heartbeats and a second, and send no part
/// of a message for the step timeout. A frame under way must come at 1 KiB/s.
class Silence {
 public:
  /// The handshake begins.
  Silence(const SessionOptions& options, Time now)
      : step_timeout_{options.step_timeout},
        limit_{options.handshake_timeout},
        begun_{now},
        heard_{now},
        waiting_{now},
        spoken_{now} {}

  /// The handshake is over, and this interval of heartbeats is agreed; 0 means none.
  void open(std::chrono::nanoseconds heartbeat) {
    is_open_ = true;
    heartbeat_ = heartbeat;
    limit_ = has_heartbeats() ? 2 * heartbeat + std::chrono::seconds{1}
                              : std::chrono::nanoseconds::max();
    if (step_timeout_ == step_timeout_.zero())
      step_timeout_ = has_heartbeats() ? limit_.max() : std::chrono::minutes{10};
  }

  /// So many bytes were received. `in_frame`: more of a frame must come. `of_message`: they do not
  /// belong to a heartbeat.
  void heard(Time now, std::size_t bytes, bool in_frame, bool of_message) {
    heard_ = now;
    rate_.received(bytes, in_frame, now);
    if (of_message) waiting_ = now;
  }
  /// This side begins to wait for a message.
  void waits(Time now) { waiting_ = now; }
  /// This side begins to read: it has not done so for a while.
  void listen(Time now) {
    heard_ = waiting_ = now;
    rate_.listen(now);
  }
  /// A byte was sent.
  void spoke(Time now) { spoken_ = now; }

  /// When this side must send, unless other bytes wait to be written; Time::max() if never.
  Time speak_at() const {
    return has_heartbeats() ? transport::deadline_in(heartbeat_, spoken_) : Time::max();
  }
  /// When the peer has been silent for too long; Time::max() if never.
  Time give_up_at() const { return std::min({dead_at(), late_at(), rate_.give_up_at()}); }

  /// What to throw at give_up_at() or later. `waiting` says what this side waits for.
  TransportError timed_out(Time now, const std::string& waiting) const {
    const bool is_dead = now >= dead_at(), is_late = now >= late_at();
    if (!is_dead && !is_late)
      return {Reason::timed_out, {waiting, ": a frame came slower than 1 KiB/s"}};
    const Time since = !is_open_ ? begun_ : is_dead ? heard_ : waiting_;
    std::string seconds = std::to_string(std::chrono::duration<double>(now - since).count());
    seconds.resize(seconds.find('.') + 2);
    return {Reason::timed_out,
            {waiting,
             is_dead || heard_ == waiting_ ? ": the peer was silent for "
                                           : ": only heartbeats came for ",
             seconds, " s"}};
  }

 private:
  bool has_heartbeats() const { return heartbeat_ != heartbeat_.zero(); }
  Time dead_at() const { return transport::deadline_in(limit_, is_open_ ? heard_ : begun_); }
  Time late_at() const {
    return is_open_ ? transport::deadline_in(step_timeout_, waiting_) : Time::max();
  }

  std::chrono::nanoseconds step_timeout_, limit_, heartbeat_{0};
  // Start; last byte received; last byte of a message received, or start of waiting; last byte
  // sent.
  Time begun_, heard_, waiting_, spoken_;
  FrameRate rate_;
  bool is_open_ = false;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::wire
