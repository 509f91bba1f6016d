// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>           // equal, min
#include <condition_variable>  // condition_variable
#include <memory>              // make_unique, unique_ptr
#include <mutex>               // lock_guard, mutex, unique_lock

#include <splitvit/core/error.hpp>          // Reason, TransportError
#include <splitvit/transport/concepts.hpp>  // Clock, Deadline, HasDeadline, read_part, Transport
#include <splitvit/transport/detail/waiting.hpp>  // wait_until_ready
#include <splitvit/transport/tls_context.hpp>     // TlsContext, TlsOptions, TlsRole
#include <splitvit/transport/tls_engine.hpp>      // TlsEngine

// An optional part: link splitvit::tls, which needs OpenSSL 3.

namespace splitvit::inline SPLITVIT_BUILD::transport {

/// TLS 1.3 over any link that can stop waiting. Both sides prove who they are before a byte is read
/// from either. The first call that reads or writes does the handshake, within the link's deadline.
///
///   TlsContext context{TlsRole::client, {.pre_shared_key = "key"}};
///   TlsLink link{connect_tcp(endpoint), context};
///
/// Where writing times out after a part was encrypted, the next call must begin with the same
/// bytes, as a caller does who writes what was not taken.
///
/// Errors  std::invalid_argument for a link that cannot stop waiting. TransportError: as TlsEngine;
///         closed if the peer closes an open link without a goodbye; the errors of the link.
template <Transport Link>
  requires HasDeadline<Link>
class TlsLink {
 public:
  TlsLink(Link link, const TlsContext& context)
      : state_{std::make_unique<State>(std::move(link), context)} {
    if (!has_deadline())
      throw std::invalid_argument("TlsLink: wanted a link that can stop waiting");
  }

  std::size_t read_some(std::span<std::byte> into) { return state_->read(into); }
  std::size_t write_some(std::span<const std::byte> from) { return state_->write(from); }
  void set_deadline(Deadline when) { state_->set_deadline(when); }
  bool has_deadline() const { return can_stop_waiting(state_->link); }

  /// Whom the peer has proved to be; see TlsEngine.
  std::string identity() const {
    const std::lock_guard lock{state_->guard};
    return state_->engine.identity();
  }
  /// As the link within says it.
  std::string peer() const
    requires requires(const Link& link) { link.peer(); }
  {
    return state_->link.peer();
  }

 private:
  template <class Listener>
  friend class TlsListener;

  static std::string name_of(const Link& link) {
    if constexpr (requires { link.peer(); })
      return link.peer();
    else
      return "the peer";
  }

  /// Of the two threads that may read and write, each waits for the link without the guard. The
  /// handshake is done by one of them, while the other waits; after it, only the reader receives
  /// and only the writer sends.
  struct State {
    State(Link inner, const TlsContext& context)
        : link{std::move(inner)}, engine{context, name_of(link)} {}
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    /// Says goodbye, or why it ends, unless the link would have to be waited for.
    ~State() {
      std::unique_lock lock{guard};
      try {
        engine.end();
        send_now(lock);
      } catch (...) {  // the peer then learns less
      }
    }

    std::size_t read(std::span<std::byte> into) {
      std::unique_lock lock{guard};
      try {
        open(lock);
      } catch (const TransportError& error) {
        if (error.reason() != Reason::closed) throw;
        return 0;  // the peer has closed before it could write anything
      }
      while (true) {
        if (const auto n = engine.read(into)) return *n;
        receive(lock);
      }
    }

    std::size_t write(std::span<const std::byte> from) {
      std::unique_lock lock{guard};
      open(lock);
      if (taken.empty()) {
        from = from.first(std::min(from.size(), most_at_once));
        engine.write(from);
        taken.assign(from.begin(), from.end());
      }
      from = from.first(std::min(from.size(), taken.size()));
      if (!std::equal(from.begin(), from.end(), taken.begin()))
        throw TransportError(Reason::link_failed,
                             "TLS: other bytes are written than those that were not sent in time");
      std::size_t n = from.size();
      const std::uint64_t before = sent;
      try {
        send(lock);
      } catch (const TransportError& error) {
        if (error.reason() == Reason::closed) hear_why(lock);
        // The last byte counts as taken only when all are on their way.
        n = std::min<std::uint64_t>({n, sent - before, taken.size() - 1});
        if (error.reason() != Reason::timed_out || n == 0) throw;
      }
      taken.erase(taken.begin(), taken.begin() + static_cast<std::ptrdiff_t>(n));
      return n;
    }

    void set_deadline(Deadline when) {
      const std::lock_guard lock{guard};
      deadline = when;
      link.set_deadline(when);
      changed.notify_all();
    }

    Link link;
    std::mutex guard;  // of all below
    TlsEngine engine;

   private:
    static constexpr std::size_t most_at_once = std::size_t{64} << 10;

    /// Without the guard, for calls that wait.
    struct Unlocked {
      explicit Unlocked(std::unique_lock<std::mutex>& of) : lock{of} { lock.unlock(); }
      Unlocked(const Unlocked&) = delete;
      Unlocked& operator=(const Unlocked&) = delete;
      ~Unlocked() { lock.lock(); }
      std::unique_lock<std::mutex>& lock;
    };
    /// While it lives, this thread is the one that does what `flag` says.
    struct Doing {
      Doing(State& s, bool& flag) : state{s}, is_doing{flag} { is_doing = true; }
      Doing(const Doing&) = delete;
      Doing& operator=(const Doing&) = delete;
      ~Doing() {
        is_doing = false;
        state.changed.notify_all();
      }
      State& state;
      bool& is_doing;
    };

    /// Completes the handshake, or waits for the thread that does.
    void open(std::unique_lock<std::mutex>& lock) {
      if (!detail::wait_until_ready(lock, changed, deadline,
                                    [this] { return is_open || !is_shaking; }))
        throw TransportError(Reason::timed_out, "TLS: no handshake until the deadline");
      if (is_open) return;
      const Doing shaking{*this, is_shaking};
      try {
        while (true) {
          const bool is_complete = engine.handshake();
          send(lock);
          if (is_complete) break;
          receive(lock);
        }
      } catch (const TransportError&) {
        if (engine.has_failed()) send_now(lock);
        throw;
      }
      is_open = true;
    }

    /// Gives the engine what comes next. Only waits if another thread is doing so.
    void receive(std::unique_lock<std::mutex>& lock) {
      if (is_receiving) return changed.wait(lock, [this] { return !is_receiving; });
      const Doing receiving{*this, is_receiving};
      std::array<std::byte, 1024> little;  // a stranger makes this side keep no buffer
      if (is_open) incoming.resize(most_at_once);
      const std::span<std::byte> room =
          is_open ? std::span{incoming} : std::span<std::byte>{little};
      std::size_t n = 0;
      {
        const Unlocked unlocked{lock};
        n = read_part(link, room);
      }
      engine.received(room.first(n));
    }
    /// The peer has closed the link: throws why, if it has said so and nobody reads it.
    void hear_why(std::unique_lock<std::mutex>& lock) {
      if (is_receiving) return;
      link.set_deadline(Clock::now());
      try {
        while (!engine.has_data()) receive(lock);
      } catch (const TransportError&) {
        if (engine.has_failed()) throw;
      }
      link.set_deadline(deadline);
    }

    /// Sends all that the engine has for the peer.
    void send(std::unique_lock<std::mutex>& lock) {
      while (true) {
        if (outgoing_sent == outgoing.size()) {
          outgoing = engine.output();
          outgoing_sent = 0;
          if (outgoing.empty()) return;
        }
        std::size_t n = 0;
        {
          const Unlocked unlocked{lock};
          n = write_part(link, std::span<const std::byte>{outgoing}.subspan(outgoing_sent));
        }
        outgoing_sent += n;
        sent += n;
      }
    }
    /// What can be sent without a wait.
    void send_now(std::unique_lock<std::mutex>& lock) {
      link.set_deadline(Clock::now());
      try {
        send(lock);
      } catch (const TransportError&) {  // the peer is gone, or takes nothing
      }
      link.set_deadline(deadline);
    }

    std::condition_variable changed;
    Deadline deadline = no_deadline;
    bool is_open = false, is_shaking = false, is_receiving = false;
    std::vector<std::byte> incoming;  // of the thread that receives
    std::vector<std::byte> outgoing;  // the rest is of the thread that sends
    std::size_t outgoing_sent = 0;
    std::uint64_t sent = 0;        // since the beginning
    std::vector<std::byte> taken;  // encrypted already, but not reported to the caller
  };

  std::unique_ptr<State> state_;
};

/// A listener whose links are protected, for split::Service. It does not wait for a handshake: the
/// first call on the new link begins it.
///
///   TlsListener listener{TcpListener{endpoint}, context};
///   TlsListener<TcpListener&> another{tcp_listener, context};  // refers to it
template <class Listener>
class TlsListener {
 public:
  using Inner = decltype(std::declval<Listener&>().accept(Deadline{}));

  TlsListener(Listener listener, TlsContext context)
      : listener_{std::forward<Listener>(listener)}, context_{std::move(context)} {}

  TlsLink<Inner> accept(Deadline deadline = no_deadline) {
    return {listener_.accept(deadline), context_};
  }

  /// As the listener within; a link is ready, too, if it may have bytes that were received before.
  std::vector<bool> wait(std::span<TlsLink<Inner>* const> links, Deadline deadline) {
    std::vector<Inner*> inner;
    std::vector<bool> is_ready;
    for (TlsLink<Inner>* const link : links) {
      const std::lock_guard lock{link->state_->guard};
      inner.push_back(&link->state_->link);
      is_ready.push_back(link->state_->engine.may_have_more());
      if (is_ready.back()) deadline = Deadline{};
    }
    std::vector<bool> ready = listener_.wait(inner, deadline);
    for (std::size_t i = 0; i < inner.size(); ++i) ready[i] = ready[i] || is_ready[i];
    return ready;
  }

  void close() { listener_.close(); }
  const auto& endpoint() const { return listener_.endpoint(); }

 private:
  Listener listener_;
  TlsContext context_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::transport
