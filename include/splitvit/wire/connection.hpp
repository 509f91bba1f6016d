// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>           // min
#include <atomic>              // atomic
#include <chrono>              // milliseconds
#include <condition_variable>  // condition_variable
#include <exception>           // current_exception, exception_ptr, make_exception_ptr
#include <memory>              // make_shared, shared_ptr
#include <mutex>               // lock_guard, mutex, unique_lock
#include <thread>              // thread

#include <splitvit/core/error.hpp>          // Reason, ReasonedError, TransportError, WireError
#include <splitvit/transport/any_link.hpp>  // AnyLink
#include <splitvit/transport/concepts.hpp>  // Clock, deadline_in, read_part, write_part
#include <splitvit/wire/io.hpp>             // next
#include <splitvit/wire/session.hpp>        // Event, MessageKind, Session

namespace splitvit::inline SPLITVIT_BUILD::wire {

/// A session on its link. Once the session is open, a thread of its own reads the link: it sends
/// and hears heartbeats, if they are agreed, while the caller computes, so that a long step is not
/// taken for death, and a peer that is gone is noticed.
///
///   Connection connection{std::move(link), Session::client(state, settings, options, now)};
///   connection.next(MessageKind::welcome);
///   connection.session()->send_step(parts);
///   const Event reply = connection.next(MessageKind::backward);
///
/// The thread reads one message ahead of the caller; so peers that both write before they read do
/// not wait for each other.
///
/// A link without deadlines has no such thread, and needs a session without heartbeats, see
/// options_on: there a silent peer is never noticed. One thread computes: it alone calls next,
/// flush and tell.
///
/// Errors  session(), next and flush throw what has ended the connection, from then on.
class Connection {
 public:
  /// The session, while this object lives: nobody else uses it meanwhile.
  class Locked {
   public:
    Session* operator->() const { return session_; }

   private:
    friend class Connection;
    Locked(std::unique_lock<std::mutex> lock, Session* session)
        : lock_{std::move(lock)}, session_{session} {}

    std::unique_lock<std::mutex> lock_;
    Session* session_;
  };

  Connection(transport::AnyLink link, Session session)
      : link_{std::move(link)}, session_{std::move(session)} {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  /// Closes the link.
  ~Connection() { stop(); }

  /// Ends the thread that reads. Call it before the session's state is destroyed.
  void stop() {
    if (!reader_.joinable()) return;
    stops_ = true;
    link_.set_deadline(Time{});  // the reader need not wait any longer
    reader_.join();
  }

  /// For one statement, such as connection.session()->send_step(parts).
  Locked session() {
    Locked session = locked();
    if (failure_) std::rethrow_exception(failure_);
    return session;
  }
  /// The same after the connection has ended, for what cannot fail: commit after prepare.
  Locked locked() {
    std::unique_lock lock{*guard_};
    changed_.wait(lock, [this] { return !is_writing_; });
    return {std::move(lock), &session_};
  }
  /// What session() locks, for the session's state. It is never held for long.
  const std::shared_ptr<std::mutex>& guard() const { return guard_; }

  /// Whom the peer has proved to be; see transport::AnyLink.
  std::string peer_identity() const { return link_.identity(); }

  /// Whether a thread reads while the caller computes or writes.
  bool reads_ahead() const { return reader_.joinable(); }

  /// Writes what is queued, and waits for the next message. It is valid until the next call of this
  /// or of flush.
  ///
  /// Errors  As wire::next.
  Event next() {
    start_if_open();
    if (!reads_ahead()) {
      release_event();
      event_ = wire::next(link_, session_, *guard_);
      is_taken_ = true;
      start_if_open();  // after welcome
      return *event_;
    }
    flush();
    std::unique_lock lock{*guard_};
    session_.waits(transport::Clock::now());
    changed_.wait(lock, [this] { return event_ || failure_ || session_.is_over(); });
    is_taken_ = event_.has_value();
    if (event_) return *event_;
    if (failure_) std::rethrow_exception(failure_);
    throw TransportError(Reason::closed, "next: the session is over");
  }
  /// Errors  As next(); WireError (wrong_message) for another kind.
  Event next(MessageKind wanted) { return require_kind(next(), wanted); }

  /// Writes all that is queued. Errors  As wire::flush.
  void flush() {
    release_event();
    Locked session = locked();
    write_queued(session.lock_);
  }

  /// Tells the peer why this side gives up. Ignores an error of the link.
  void tell(const ReasonedError& error) {
    locked()->fail(error);
    try {
      flush();
    } catch (const ReasonedError&) {  // the peer is gone; the first error matters more
    }
  }

  /// Ends the connection for the thread that computes. Any thread may call it.
  template <class Error>
  void end(const Error& error) {
    const std::lock_guard lock{*guard_};
    end_with(std::make_exception_ptr(error));
  }

 private:
  /// No call waits longer, since the deadline of a link is one for both threads, and the reader
  /// must see that it is to end.
  static constexpr std::chrono::milliseconds slice{50};

  /// While it lives nobody else writes, or queues what could move the bytes that are written.
  struct Writing {
    explicit Writing(Connection& of) : connection{of} { connection.is_writing_ = true; }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
    ~Writing() {
      connection.is_writing_ = false;
      connection.changed_.notify_all();
    }
    Connection& connection;
  };

  /// The caller has done with the last message.
  void release_event() {
    const std::lock_guard lock{*guard_};
    if (!std::exchange(is_taken_, false)) return;
    event_.reset();
    session_.payloads().done();
    session_.waits(transport::Clock::now());
    changed_.notify_all();
  }

  void write_queued(std::unique_lock<std::mutex>& lock) {
    const Writing writing{*this};
    while (!session_.output().empty()) {
      const std::size_t n = write_unlocked(session_.output(), lock);
      session_.written(n, transport::Clock::now());
    }
  }

  /// Writes some bytes without the lock, and returns how many.
  std::size_t write_unlocked(Bytes out, std::unique_lock<std::mutex>& lock) {
    struct Unlocked {
      explicit Unlocked(std::unique_lock<std::mutex>& of) : lock{of} { lock.unlock(); }
      Unlocked(const Unlocked&) = delete;
      Unlocked& operator=(const Unlocked&) = delete;
      ~Unlocked() { lock.lock(); }
      std::unique_lock<std::mutex>& lock;
    };
    const Unlocked unlocked{lock};
    const Time give_up = transport::deadline_in(session_.options().write_timeout);
    while (true) {
      link_.set_deadline(std::min(give_up, transport::deadline_in(slice)));
      try {
        return transport::write_part(link_, out);
      } catch (const TransportError& error) {
        if (error.reason() != Reason::timed_out || transport::Clock::now() >= give_up || stops_)
          throw;
      }
    }
  }

  /// Under the lock: the first error ends the connection.
  void end_with(std::exception_ptr error) {
    if (!failure_) failure_ = std::move(error);
    changed_.notify_all();
  }

  void start_if_open() {
    const std::lock_guard lock{*guard_};
    if (failure_) std::rethrow_exception(failure_);
    if (reader_.joinable() || !session_.is_open() || !link_.has_deadline()) return;
    session_.listen(transport::Clock::now());
    reader_ = std::thread{[this] { read_all(); }};
  }

  void read_all() {
    Time wake = {};
    std::size_t unread = 0;
    while (!stops_) {
      if (unread == 0) unread = read_some(wake);
      std::unique_lock lock{*guard_};
      try {
        if (handle(unread, wake, lock)) continue;
      } catch (...) {  // under the same lock, so that nobody sees a session that is over before why
        end_with(std::current_exception());
      }
      return changed_.notify_all();
    }
  }

  /// Reads into the session's space. Returns 0 if nothing came until `wake`, or for a slice.
  std::size_t read_some(Time wake) {
    link_.set_deadline(std::min(wake, transport::deadline_in(slice)));
    try {
      return transport::read_part(link_, session_.space());
    } catch (const TransportError& error) {
      const std::lock_guard lock{*guard_};
      if (error.reason() != Reason::timed_out && !session_.is_over())
        end_with(std::current_exception());
    } catch (...) {
      const std::lock_guard lock{*guard_};
      end_with(std::current_exception());
    }
    return 0;
  }

  /// Gives the session so many bytes of its space: `unread` is 0 then. It gets the last ones of a
  /// message only once the caller has done with the message before, and at a server nothing is
  /// being written that an answer could move. Sends a heartbeat if one is due, and sets `wake` to
  /// when it must be called again. Returns whether to go on.
  bool handle(std::size_t& unread, Time& wake, std::unique_lock<std::mutex>& lock) {
    const auto is_early = [&] {
      return (event_ || (is_writing_ && !session_.is_client())) && unread > 0 &&
             session_.reader().completes_message(unread);
    };
    if (is_early()) {
      changed_.wait_for(lock, slice);
      session_.listen(transport::Clock::now());  // what the peer has sent was not read
    }
    const bool was_idle = session_.output().empty();
    const Time now = transport::Clock::now();
    if (event_) session_.waits(now);  // nobody waits for a message
    if (unread > 0 && !is_early()) {
      if (event_ && session_.reader().begins_message(unread)) session_.payloads().keep();
      if (const auto event = session_.filled(std::exchange(unread, 0), now)) event_ = event;
      changed_.notify_all();
    }
    if (failure_ || session_.is_over()) return false;
    session_.tick(now);
    wake = session_.wake_at();
    if (was_idle) write_queued(lock);  // a heartbeat, or the reply to a repeated step
    return true;
  }

  transport::AnyLink link_;
  Session session_;
  std::atomic<bool> stops_ = false;
  std::thread reader_;
  // Of session_ and of all below.
  std::shared_ptr<std::mutex> guard_ = std::make_shared<std::mutex>();
  std::condition_variable changed_;
  bool is_writing_ = false;
  std::optional<Event> event_;  // the newest message, until the caller has done with it
  bool is_taken_ = false;       // the caller uses it
  std::exception_ptr failure_;
};

/// The options for a session on a link: without heartbeats if the link cannot stop waiting.
inline SessionOptions options_on(const transport::AnyLink& link, SessionOptions options) {
  if (!link.has_deadline()) options.heartbeat = options.heartbeat.zero();
  return options;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::wire
