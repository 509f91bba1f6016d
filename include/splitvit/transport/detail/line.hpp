// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>           // clamp, copy_n, max, min
#include <chrono>              // duration, duration_cast
#include <condition_variable>  // condition_variable
#include <deque>               // deque
#include <exception>           // exception_ptr, rethrow_exception
#include <mutex>               // lock_guard, mutex, unique_lock

#include <splitvit/core/error.hpp>          // Reason, TransportError
#include <splitvit/transport/concepts.hpp>  // Clock, Deadline, no_deadline

namespace splitvit::inline SPLITVIT_BUILD::transport::detail {

/// One direction of a line: bytes that are on their way, one after the other. One thread puts and
/// one takes.
class Line {
 public:
  Line(double bits_per_second, double latency_seconds)
      : byte_seconds_{8.0 / bits_per_second}, latency_seconds_{latency_seconds} {}

  /// Puts some bytes on their way, and returns how many. Waits while most_in_flight are.
  /// Errors  TransportError (timed_out) at the deadline; what `fail` was given.
  std::size_t put(std::span<const std::byte> from) {
    std::unique_lock lock{guard_};
    while (size_ >= most_in_flight && !has_ended_) wait(lock, put_deadline_, no_deadline, "write");
    if (failure_) std::rethrow_exception(failure_);
    if (has_ended_) return 0;
    from = from.first(std::min(from.size(), most_in_flight - size_));
    const Deadline begin = std::max(Clock::now(), free_at_);
    free_at_ = after(begin, byte_seconds_ * static_cast<double>(from.size()));
    chunks_.push_back({.bytes = {from.begin(), from.end()}, .begin = begin});
    size_ += from.size();
    changed_.notify_all();
    return from.size();
  }

  /// Waits for bytes that have arrived, and takes some; 0 when `end` has arrived.
  /// Errors  TransportError (timed_out) at the deadline; what `end` was given.
  std::size_t take(std::span<std::byte> into) {
    std::unique_lock lock{guard_};
    while (true) {
      const Deadline next = next_arrival();
      if (Clock::now() >= next) break;
      wait(lock, take_deadline_, next, "read");
    }
    if (chunks_.empty()) {
      if (ending_) std::rethrow_exception(ending_);
      return 0;
    }
    Chunk& chunk = chunks_.front();
    const std::size_t n = std::min(into.size(), arrived(chunk) - chunk.used);
    std::copy_n(chunk.bytes.begin() + static_cast<std::ptrdiff_t>(chunk.used), n, into.begin());
    chunk.used += n;
    size_ -= n;
    if (chunk.used == chunk.bytes.size()) chunks_.pop_front();
    changed_.notify_all();
    return n;
  }

  /// Whether take() need not wait.
  bool is_ready() const {
    const std::lock_guard lock{guard_};
    return Clock::now() >= next_arrival();
  }

  /// Nothing is put any more. Whoever takes learns it, or the error, after all bytes.
  void end(std::exception_ptr error = nullptr) {
    const std::lock_guard lock{guard_};
    if (!has_ended_) end_at_ = after(std::max(Clock::now(), free_at_), latency_seconds_);
    has_ended_ = true;
    ending_ = std::move(error);
    changed_.notify_all();
  }
  /// Nothing can be taken any more: whoever puts gets the error. What is on its way is lost.
  void fail(std::exception_ptr error) {
    const std::lock_guard lock{guard_};
    has_ended_ = true;
    end_at_ = Deadline{};
    failure_ = std::move(error);
    chunks_.clear();
    size_ = 0;
    changed_.notify_all();
  }

  void set_put_deadline(Deadline when) { set(put_deadline_, when); }
  void set_take_deadline(Deadline when) { set(take_deadline_, when); }

 private:
  static constexpr std::size_t most_in_flight = std::size_t{4} << 20;

  struct Chunk {
    std::vector<std::byte> bytes;
    std::size_t used = 0;
    Deadline begin = {};  // when its first byte begins to leave
  };

  static Deadline after(Deadline time, double seconds) {
    constexpr double long_time = 1e8;  // the clock can count it
    return time + std::chrono::duration_cast<Clock::duration>(
                      std::chrono::duration<double>{std::min(seconds, long_time)});
  }
  /// When so many bytes of a chunk have arrived.
  Deadline arrival(const Chunk& chunk, std::size_t bytes) const {
    return after(chunk.begin, latency_seconds_ + byte_seconds_ * static_cast<double>(bytes));
  }
  std::size_t arrived(const Chunk& chunk) const {
    const auto now = Clock::now();
    if (now >= arrival(chunk, chunk.bytes.size())) return chunk.bytes.size();
    const std::chrono::duration<double> since = now - chunk.begin;
    const double bytes = std::max(0.0, since.count() - latency_seconds_) / byte_seconds_;
    return std::clamp(static_cast<std::size_t>(bytes), chunk.used + 1, chunk.bytes.size());
  }
  /// When there is something to take: the next bytes, those of about a millisecond.
  Deadline next_arrival() const {
    if (chunks_.empty()) return has_ended_ ? end_at_ : no_deadline;
    const Chunk& chunk = chunks_.front();
    const double in_a_millisecond = std::clamp(1e-3 / byte_seconds_, 1.0, 0x1p40);
    return arrival(chunk, std::min(chunk.bytes.size(),
                                   chunk.used + static_cast<std::size_t>(in_a_millisecond)));
  }

  /// Waits for a change, or until `wake`.
  void wait(std::unique_lock<std::mutex>& lock, const Deadline& deadline, Deadline wake,
            const char* what) {
    if (Clock::now() >= deadline)
      throw TransportError(Reason::timed_out, {"Delayed: ", what,
                                               ": nothing moved until the "
                                               "deadline"});
    wake = std::min(wake, deadline);
    if (wake == no_deadline)
      changed_.wait(lock);
    else
      changed_.wait_until(lock, wake);
  }
  void set(Deadline& deadline, Deadline when) {
    const std::lock_guard lock{guard_};
    deadline = when;
    changed_.notify_all();
  }

  double byte_seconds_, latency_seconds_;
  mutable std::mutex guard_;
  std::condition_variable changed_;
  std::deque<Chunk> chunks_;
  std::size_t size_ = 0;   // bytes of all chunks
  Deadline free_at_ = {};  // when the next byte may begin to leave
  bool has_ended_ = false;
  Deadline end_at_ = {};  // when whoever takes learns of it
  std::exception_ptr ending_, failure_;
  Deadline put_deadline_ = no_deadline, take_deadline_ = no_deadline;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::transport::detail
