// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min
#include <atomic>     // atomic
#include <chrono>     // hours, milliseconds
#include <cstddef>    // byte, size_t
#include <cstring>    // memcpy
#include <deque>      // deque
#include <memory>     // make_shared, shared_ptr
#include <mutex>      // lock_guard, mutex
#include <span>       // span
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/core/error.hpp>          // TransportError
#include <splitvit/transport/concepts.hpp>  // Transport, Deadline
#include <splitvit/transport/memory.hpp>    // MemoryLink

// Links that make life hard: slow, scripted, or wrong.

namespace splitvit::test {

/// The worst link that the contract allows: one byte a call. Both ends may share one queue.
class TrickleLink {
 public:
  explicit TrickleLink(std::deque<std::byte>& queue) : queue_{&queue} {}

  std::size_t read_some(std::span<std::byte> into) {
    if (queue_->empty()) return 0;
    into[0] = queue_->front();
    queue_->pop_front();
    return 1;
  }
  std::size_t write_some(std::span<const std::byte> from) {
    queue_->push_back(from[0]);
    return 1;
  }

 private:
  std::deque<std::byte>* queue_;
};

/// Plays a recorded peer: reads give the recording in pieces, then the end of the stream;
/// writes are kept.
class ScriptLink {
 public:
  explicit ScriptLink(std::vector<std::byte> recording, std::size_t piece = 1 << 20)
      : recording_{std::move(recording)}, piece_{piece} {}

  std::size_t read_some(std::span<std::byte> into) {
    const std::size_t n = std::min({into.size(), recording_.size() - at_, piece_});
    if (n > 0) std::memcpy(into.data(), recording_.data() + at_, n);
    at_ += n;
    return n;
  }
  std::size_t write_some(std::span<const std::byte> from) {
    written_->insert(written_->end(), from.begin(), from.end());
    return from.size();
  }
  /// Outlives the link.
  std::shared_ptr<std::vector<std::byte>> written() const { return written_; }

 private:
  std::vector<std::byte> recording_;
  std::size_t piece_;
  std::size_t at_ = 0;
  std::shared_ptr<std::vector<std::byte>> written_ = std::make_shared<std::vector<std::byte>>();
};

/// A link that cannot stop waiting: nothing reads it but its user.
template <transport::Transport Link>
class WithoutDeadlines {
 public:
  explicit WithoutDeadlines(Link link) : link_{std::move(link)} {}
  std::size_t read_some(std::span<std::byte> into) { return link_.read_some(into); }
  std::size_t write_some(std::span<const std::byte> from) { return link_.write_some(from); }

 private:
  Link link_;
};

/// Claims to have moved so many bytes, whatever was asked.
struct LyingLink {
  std::size_t claim = 0;
  std::size_t read_some(std::span<std::byte>) { return claim; }
  std::size_t write_some(std::span<const std::byte>) { return claim; }
};

/// Ways to break the contract of Transport.
enum class Defect {
  none,
  swaps_bytes,         ///< two neighbours in a read change places
  writes_too_far,      ///< a read stores a byte behind the room it was given
  takes_nothing,       ///< write_some returns 0
  does_not_wait,       ///< read_some returns 0 when there is nothing yet
  throws_at_the_end,   ///< read_some throws instead of returning 0
  never_closes,        ///< destruction is not noticed by the peer
  wrong_reason,        ///< a write to a closed peer throws link_failed
  deadline_too_early,  ///< throws timed_out at once
  deadline_too_late,   ///< throws timed_out an hour late
};

/// A MemoryLink with one defect. `World` outlives the links: it holds those that never close,
/// and ends calls that would wait for ever.
class DefectiveLink {
 public:
  struct World {
    std::atomic<bool> over{false};
    std::mutex guard;
    std::vector<transport::MemoryLink> kept_open;
  };

  DefectiveLink(transport::MemoryLink link, Defect defect, std::shared_ptr<World> world)
      : link_{std::move(link)}, defect_{defect}, world_{std::move(world)} {}
  DefectiveLink(DefectiveLink&&) = default;
  DefectiveLink& operator=(DefectiveLink&&) = default;
  ~DefectiveLink() {
    if (!world_ || defect_ != Defect::never_closes) return;
    const std::lock_guard lock{world_->guard};
    world_->kept_open.push_back(std::move(link_));
  }

  std::size_t read_some(std::span<std::byte> into) {
    if (defect_ == Defect::deadline_too_early && deadline_ != transport::no_deadline)
      throw TransportError(Reason::timed_out, "in a hurry");
    std::size_t n = 0;
    try {
      n = waiting([&] { return link_.read_some(into); }, defect_ != Defect::does_not_wait);
    } catch (const TransportError&) {
      if (defect_ != Defect::does_not_wait) throw;
    }
    if (defect_ == Defect::swaps_bytes && n >= 2) std::swap(into[0], into[1]);
    if (defect_ == Defect::writes_too_far) *(into.data() + into.size()) = std::byte{0};
    if (defect_ == Defect::throws_at_the_end && n == 0)
      throw TransportError(Reason::closed, "end of stream");
    return n;
  }

  std::size_t write_some(std::span<const std::byte> from) {
    if (defect_ == Defect::takes_nothing) return 0;
    try {
      return waiting([&] { return link_.write_some(from); }, true);
    } catch (const TransportError&) {
      if (defect_ != Defect::wrong_reason) throw;
      throw TransportError(Reason::link_failed, "something");
    }
  }

  void set_deadline(transport::Deadline when) {
    if (defect_ == Defect::deadline_too_late && when != transport::no_deadline)
      when += std::chrono::hours{1};
    deadline_ = when;
  }

 private:
  template <class Call>
  std::size_t waiting(const Call& call, bool patient) {
    while (true) {
      link_.set_deadline(transport::deadline_in(std::chrono::milliseconds{2}));
      try {
        return call();
      } catch (const TransportError& error) {
        const bool go_on = patient && error.reason() == Reason::timed_out && !world_->over &&
                           transport::Clock::now() < deadline_;
        if (!go_on) throw;
      }
    }
  }

  transport::MemoryLink link_;
  Defect defect_;
  std::shared_ptr<World> world_;
  transport::Deadline deadline_ = transport::no_deadline;
};

}  // namespace splitvit::test
