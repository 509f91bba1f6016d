// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // any_of
#include <atomic>      // atomic
#include <chrono>      // milliseconds
#include <exception>   // exception
#include <functional>  // function
#include <map>         // map
#include <memory>      // make_shared, make_unique, shared_ptr, unique_ptr
#include <mutex>       // lock_guard, mutex
#include <thread>      // jthread, sleep_for

#include <splitvit/core/parallel.hpp>        // available_threads, with_threads
#include <splitvit/split/server.hpp>         // Server
#include <splitvit/split/session_event.hpp>  // OnSessionEvent, SessionEvent
#include <splitvit/transport/concepts.hpp>   // Clock, Deadline, deadline_in
#include <splitvit/wire/connection.hpp>      // Connection
#include <splitvit/wire/unadmitted.hpp>      // Unadmitted, write_now

namespace splitvit::inline SPLITVIT_BUILD::split {

/// What a service needs, such as transport::TcpListener.
///
///   listener.wait(links, deadline)  waits until a peer can be accepted, one of the links can be
///                                   read, or the deadline; returns what is ready, the listener
///                                   last
///   listener.accept(deadline)       the link to the next peer, with peer() for its name
template <class L>
concept Listener = requires(L& listener, std::span<decltype(listener.accept({}))* const> links,
                            transport::Deadline deadline) {
  { listener.wait(links, deadline) } -> std::same_as<std::vector<bool>>;
  { listener.accept(deadline).peer() } -> std::convertible_to<std::string>;
};

struct ServiceOptions {
  std::size_t at_once = 1;           ///< sessions that are served at the same time
  std::size_t most_unadmitted = 64;  ///< connections that have not said hello or wait for an answer
  /// What becomes of whom; one call at a time, in different threads.
  std::function<void(const std::string& peer, const SessionEvent&)> on_event = {};
};

/// Serves whoever connects to a listener. Connections are accepted at once; a client for whom there
/// is no room hears whom the server serves. A client that comes back takes the place of its older
/// connection. Each session has a thread; see Server.
///
///   Service service{server, {.on_event = log}};
///   service.run(listener, [&] { return !is_over; });
template <std::floating_point T>
class Service {
 public:
  explicit Service(Server<T>& server, ServiceOptions options = {})
      : server_{server}, options_{std::move(options)} {}

  /// Until `goes_on()` is false, which is asked at least ten times a second, or the listener is
  /// closed. Connections that are still open then end. No error of a peer, nor a lack of
  /// descriptors or memory, ends it.
  ///
  /// Errors  std::invalid_argument for options out of range.
  template <Listener L>
  void run(L& listener, const std::function<bool()>& goes_on) {
    using Link = decltype(listener.accept(transport::Deadline{}));
    wire::Unadmitted<Link> unadmitted{options_.most_unadmitted, server_.options().session};
    const int threads = available_threads();
    bool is_closed = false;
    while (!is_closed && goes_on()) {
      std::erase_if(workers_, [](const auto& worker) { return worker->is_done.load(); });
      try {
        is_closed = !turn(listener, unadmitted, threads);
      } catch (const std::exception& error) {  // such as no memory or threads for one more
        complain("", error.what());
        if (!unadmitted.shrink()) std::this_thread::sleep_for(turn_time);
      }
    }
    for (const auto& worker : workers_) {
      const std::lock_guard lock{guard_};
      if (worker->connection)
        worker->connection->end(TransportError{Reason::closed, "the server ends"});
    }
    workers_.clear();
  }

  /// Whom the server serves now, and the last step of each. Any thread may ask.
  struct Served {
    std::string peer;
    wire::SessionId id = {};
    std::uint64_t step = 0;
  };
  std::vector<Served> served() {
    std::vector<Served> all;
    const std::lock_guard lock{guard_};
    for (const auto& [worker, served] : admitted_) all.push_back(served);
    for (Served& one : all) one.step = server_.step_of(one.id);
    return all;
  }

 private:
  static constexpr std::chrono::milliseconds turn_time{100};
  /// A client that comes right after another has said goodbye does not hear that it is busy.
  static constexpr std::chrono::milliseconds time_to_leave{500};

  /// A connection that is served by a thread of its own.
  struct Worker {
    std::string peer;
    std::shared_ptr<wire::Connection> connection;
    std::atomic<bool> is_decided = false;  // admitted or refused
    std::atomic<bool> is_done = false;
    std::jthread thread;
  };

  /// Returns false once the listener is closed.
  template <Listener L, class Link>
  bool turn(L& listener, wire::Unadmitted<Link>& unadmitted, int threads) {
    const std::vector<Link*> links = unadmitted.links();
    const bool some_wait = links.size() < unadmitted.size();  // for a decision
    const std::vector<bool> ready =
        listener.wait(links, transport::deadline_in(some_wait ? turn_time / 10 : turn_time));
    std::vector<Link*> readable;
    for (std::size_t i = 0; i < links.size(); ++i)
      if (ready[i]) readable.push_back(links[i]);
    unadmitted.read(readable, transport::Clock::now(), [&](Link& link, const auto& error) {
      // Whoever only looks whether somebody listens is not worth a word.
      if (error.reason() != Reason::closed) complain(link.peer(), error.what());
    });
    if (ready.back() && !accept(listener, unadmitted)) return false;
    // Whether the next client gets a place depends on one that is being admitted, or is leaving.
    const auto is_clear = [this](const wire::Hello& hello, wire::Time since) {
      if (is_full() && !is_served(hello.session))
        return transport::Clock::now() >= transport::deadline_in(time_to_leave, since);
      return !is_deciding();
    };
    while (auto entry = unadmitted.take_if(is_clear))
      decide(std::move(entry->link), std::move(entry->session), threads);
    return true;
  }

  template <Listener L, class Link>
  bool accept(L& listener, wire::Unadmitted<Link>& unadmitted) {
    const auto now = transport::Clock::now();
    try {
      unadmitted.add(listener.accept(now), now);
    } catch (const TransportError& error) {
      if (error.reason() == Reason::closed) return false;
      if (error.reason() != Reason::timed_out) throw;  // it was gone again
    }
    return true;
  }

  template <class Link>
  void decide(Link link, wire::Session session, int threads) {
    const std::string peer = link.peer();
    if (is_full() && !is_served(session.hello().session)) {
      try {
        session.refuse(
            wire::Refusal::busy(joined({"serving ", options_.at_once, " of ", options_.at_once})));
      } catch (const WireError& error) {
        wire::write_now(link, session, transport::Clock::now());
        return complain(peer, error.what());
      }
    }
    auto& worker = *workers_.emplace_back(std::make_unique<Worker>());
    try {
      worker.peer = peer;
      worker.connection = std::make_shared<wire::Connection>(std::move(link), std::move(session));
      worker.thread =
          std::jthread{[this, &worker, threads] { with_threads(threads, [&] { serve(worker); }); }};
    } catch (...) {
      workers_.pop_back();
      throw;
    }
  }

  void serve(Worker& worker) {
    try {
      server_.serve(worker.connection, [&](const SessionEvent& event) {
        using enum SessionEvent::Kind;
        {
          const std::lock_guard lock{guard_};
          if (event.kind == began || event.kind == resumed)
            admitted_[&worker] = {worker.peer, event.id, event.step};
          else
            admitted_.erase(&worker);
        }
        worker.is_decided = true;
        report(worker.peer, event);
      });
    } catch (const std::exception&) {  // has been reported
    }
    const std::lock_guard lock{guard_};
    worker.connection.reset();  // closes the link
    worker.is_done = true;
  }

  bool is_deciding() const {
    return std::ranges::any_of(
        workers_, [](const auto& worker) { return !worker->is_decided && !worker->is_done; });
  }
  /// Whether clients that are admitted have all places.
  bool is_full() {
    const std::lock_guard lock{guard_};
    return admitted_.size() >= options_.at_once;
  }
  bool is_served(const wire::SessionId& id) {
    const std::lock_guard lock{guard_};
    return std::ranges::any_of(admitted_, [&](const auto& entry) { return entry.second.id == id; });
  }
  void report(const std::string& peer, const SessionEvent& event) {
    if (!options_.on_event) return;
    const std::lock_guard lock{reporting_};
    options_.on_event(peer, event);
  }

  /// Tells of a connection that was not admitted: one a second, however many there are.
  void complain(const std::string& peer, std::string reason) {
    if (const auto now = transport::Clock::now(); now >= quiet_until_) {
      if (not_told_ > 0) reason += joined({" (and ", not_told_, " more)"});
      report(peer, {.reason = reason});
      quiet_until_ = now + std::chrono::seconds{1};
      not_told_ = 0;
    } else {
      ++not_told_;
    }
  }

  Server<T>& server_;
  ServiceOptions options_;
  transport::Deadline quiet_until_ = {};
  std::uint64_t not_told_ = 0;
  std::mutex reporting_;
  std::mutex guard_;  // of admitted_
  std::map<const Worker*, Served> admitted_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
