// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min
#include <atomic>     // atomic
#include <chrono>     // milliseconds, seconds
#include <exception>  // current_exception
#include <memory>     // make_unique, unique_ptr
#include <thread>     // thread

#include <splitvit/core/error.hpp>             // ArgumentError, Reason, TransportError
#include <splitvit/transport/concepts.hpp>     // can_stop_waiting, deadline_in, HasDeadline
#include <splitvit/transport/detail/line.hpp>  // Line

namespace splitvit::inline SPLITVIT_BUILD::transport {

/// A line with two directions that do not disturb each other. In each a byte takes
/// 8 / bits_per_second after the one before it, and arrives latency_seconds later.
struct LineModel {
  double bits_per_second = std::numeric_limits<double>::infinity();
  double latency_seconds = 0.0;  ///< one way
};

/// A link over a line as slow as the model says, in real time: what is computed meanwhile costs no
/// more time. Wrap one end only, or all is delayed twice. A write returns at once, unless 4 MiB are
/// on their way. Two threads move the bytes of the link within.
///
///   Delayed link{connect_tcp(endpoint), {.bits_per_second = 10e6, .latency_seconds = 0.02}};
///
/// Simulated (simulated.hpp) adds up the time of a line in which one side speaks at a time, and
/// breaks links.
///
/// Destruction waits until what was written has arrived, at most 10 s.
///
/// Errors  std::invalid_argument for a speed that is not above 0, a negative time, or a link that
///         cannot stop waiting; the errors of the link within: those of a write by a later call.
template <Transport Link>
  requires HasDeadline<Link>
class Delayed {
 public:
  explicit Delayed(Link link, const LineModel& model = {})
      : state_{std::make_unique<State>(std::move(link), model)} {}

  std::size_t read_some(std::span<std::byte> into) { return state_->in.take(into); }
  std::size_t write_some(std::span<const std::byte> from) { return state_->out.put(from); }
  /// Also applies to a call that already waits.
  void set_deadline(Deadline when) {
    state_->in.set_take_deadline(when);
    state_->out.set_put_deadline(when);
  }

  /// Whether read_some need not wait.
  bool is_ready() const { return state_->in.is_ready(); }

  /// As the link within says it.
  std::string peer() const
    requires requires(const Link& link) { link.peer(); }
  {
    return state_->link.peer();
  }
  std::string identity() const
    requires requires(const Link& link) { link.identity(); }
  {
    return state_->link.identity();
  }

 private:
  struct State {
    State(Link inner, const LineModel& model)
        : link{checked(std::move(inner), model)},
          out{model.bits_per_second, model.latency_seconds},
          in{model.bits_per_second, model.latency_seconds},
          sender{[this] { send(); }},
          receiver{[this] { receive(); }} {}
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
      give_up_at = deadline_in(std::chrono::seconds{10});
      closes = true;
      out.set_take_deadline(give_up_at);
      out.end();
      sender.join();
      stops = true;
      in.fail(nullptr);  // a receiver that waits for room goes on
      link.set_deadline(Deadline{});
      receiver.join();
    }

    static Link checked(Link inner, const LineModel& model) {
      if (!(model.bits_per_second > 0) || !(model.latency_seconds >= 0))
        throw std::invalid_argument(
            "Delayed: bits_per_second must be above 0, latency_seconds at least 0");
      if (!can_stop_waiting(inner))
        throw std::invalid_argument("Delayed: wanted a link that can stop waiting");
      return inner;
    }

    /// Calls move() again and again until it has moved bytes, or this link ends. Returns how many.
    std::size_t patiently(const auto& ends, const auto& move) {
      constexpr std::chrono::milliseconds slice{20};  // the deadline is one for both threads
      while (true) {
        link.set_deadline(deadline_in(slice));
        try {
          return move();
        } catch (const TransportError& error) {
          if (error.reason() != Reason::timed_out) throw;
          if (ends()) return 0;
        }
      }
    }

    void send() {
      std::vector<std::byte> room(std::size_t{64} << 10);
      try {
        while (const std::size_t n = out.take(room)) {
          for (std::span<const std::byte> left = std::span{room}.first(n); !left.empty();) {
            const std::size_t sent =
                patiently([this] { return closes && Clock::now() >= give_up_at.load(); },
                          [&] { return write_part(link, left); });
            if (sent == 0) return;
            left = left.subspan(sent);
          }
        }
      } catch (...) {
        out.fail(std::current_exception());
      }
    }

    void receive() {
      std::vector<std::byte> room(std::size_t{64} << 10);
      try {
        while (!stops) {
          const std::size_t n =
              patiently([this] { return stops.load(); }, [&] { return link.read_some(room); });
          if (n == 0) break;
          if (n > room.size())
            throw TransportError(Reason::link_failed,
                                 "Delayed: read: the link stored too many bytes");
          for (std::span<const std::byte> left = std::span{room}.first(n); !left.empty();) {
            const std::size_t taken = in.put(left);
            if (taken == 0) return;
            left = left.subspan(taken);
          }
        }
        in.end();
      } catch (...) {
        in.end(std::current_exception());
      }
    }

    Link link;
    detail::Line out, in;
    std::atomic<bool> closes = false, stops = false;
    std::atomic<Deadline> give_up_at{no_deadline};
    std::thread sender, receiver;  // the last to be made
  };

  std::unique_ptr<State> state_;
};

/// A listener whose links are delayed, for split::Service.
///
///   DelayedListener<TcpListener&> listener{tcp_listener, model};  // refers to it
template <class Listener>
class DelayedListener {
 public:
  using Inner = decltype(std::declval<Listener&>().accept(Deadline{}));

  DelayedListener(Listener listener, const LineModel& model)
      : listener_{std::forward<Listener>(listener)}, model_{model} {}

  Delayed<Inner> accept(Deadline deadline = no_deadline) {
    return Delayed<Inner>{listener_.accept(deadline), model_};
  }

  /// As the listener within. While there are links, it looks at them every few milliseconds.
  std::vector<bool> wait(std::span<Delayed<Inner>* const> links, Deadline deadline) {
    constexpr std::chrono::milliseconds pause{5};
    while (true) {
      const Deadline next = links.empty() ? deadline : std::min(deadline, deadline_in(pause));
      const std::vector<bool> at_listener = listener_.wait(std::span<Inner* const>{}, next);
      std::vector<bool> ready;
      for (const Delayed<Inner>* const link : links) ready.push_back(link->is_ready());
      ready.insert(ready.end(), at_listener.begin(), at_listener.end());
      for (const bool is_ready : ready)
        if (is_ready) return ready;
      if (Clock::now() >= deadline) return ready;
    }
  }

  void close() { listener_.close(); }
  const auto& endpoint() const { return listener_.endpoint(); }

 private:
  Listener listener_;
  LineModel model_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::transport
