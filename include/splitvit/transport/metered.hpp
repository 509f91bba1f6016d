// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>  // atomic
#include <chrono>  // duration
#include <memory>  // make_shared, shared_ptr

#include <splitvit/transport/concepts.hpp>  // Transport, HasDeadline

namespace splitvit::inline SPLITVIT_BUILD::transport {

/// What has passed through a Metered link. Any thread may read it while the link is used.
class Traffic {
 public:
  std::uint64_t sent() const { return sent_.load(std::memory_order_relaxed); }
  std::uint64_t received() const { return received_.load(std::memory_order_relaxed); }
  /// Units   seconds spent inside write_some and read_some, failed calls included.
  double write_seconds() const { return seconds(write_ns_); }
  double read_seconds() const { return seconds(read_ns_); }

 private:
  template <Transport Link>
  friend class Metered;

  static double seconds(const std::atomic<std::int64_t>& ns) {
    return 1e-9 * static_cast<double>(ns.load(std::memory_order_relaxed));
  }

  std::atomic<std::uint64_t> sent_{0}, received_{0};
  std::atomic<std::int64_t> write_ns_{0}, read_ns_{0};
};

/// A link that counts. `Metered link{TcpLink{...}};` models what the inner link models.
template <Transport Link>
class Metered {
 public:
  explicit Metered(Link link) : link_{std::move(link)} {}

  std::size_t read_some(std::span<std::byte> into) {
    const Stopwatch watch{traffic_->read_ns_};
    const std::size_t n = link_.read_some(into);
    traffic_->received_.fetch_add(n, std::memory_order_relaxed);
    return n;
  }

  std::size_t write_some(std::span<const std::byte> from) {
    const Stopwatch watch{traffic_->write_ns_};
    const std::size_t n = link_.write_some(from);
    traffic_->sent_.fetch_add(n, std::memory_order_relaxed);
    return n;
  }

  void set_deadline(Deadline when)
    requires HasDeadline<Link>
  {
    link_.set_deadline(when);
  }
  bool has_deadline() const { return can_stop_waiting(link_); }

  /// The counters. They may outlive the link.
  std::shared_ptr<const Traffic> traffic() const { return traffic_; }

 private:
  class Stopwatch {
   public:
    explicit Stopwatch(std::atomic<std::int64_t>& total) : total_{total} {}
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;
    ~Stopwatch() {
      const std::chrono::nanoseconds passed = Clock::now() - start_;
      total_.fetch_add(passed.count(), std::memory_order_relaxed);
    }

   private:
    std::atomic<std::int64_t>& total_;
    Clock::time_point start_ = Clock::now();
  };

  Link link_;
  std::shared_ptr<Traffic> traffic_ = std::make_shared<Traffic>();
};

template <class Link>
Metered(Link) -> Metered<Link>;

}  // namespace splitvit::inline SPLITVIT_BUILD::transport
