// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>   // byte, size_t
#include <mutex>     // lock_guard
#include <optional>  // optional
#include <span>      // span
#include <string>    // string, to_string

#include <splitvit/core/error.hpp>          // Reason, ReasonedError, TransportError, WireError
#include <splitvit/transport/concepts.hpp>  // Transport, Clock, deadline_in, set_deadline_if_possible
#include <splitvit/wire/event.hpp>          // Event
#include <splitvit/wire/session.hpp>        // Session

// flush and next: a session over a link. The only I/O of the protocol; each operation on the link
// has a deadline of its own.

namespace splitvit::wire {

/// Writes all that the session has queued.
///
/// Errors  TransportError from the link; timed_out if it takes no byte for options().write_timeout,
///         on a link that HasDeadline.
template <transport::Transport Link>
void flush(Link& link, Session& session) {
  for (Bytes out = session.output(); !out.empty(); out = session.output()) {
    transport::set_deadline_if_possible(link,
                                        transport::deadline_in(session.options().write_timeout));
    const std::size_t n = link.write_some(out);
    if (n == 0 || n > out.size())
      throw TransportError(Reason::link_failed, "flush: the link took " + std::to_string(n) +
                                                    " of " + std::to_string(out.size()) + " bytes");
    session.written(n, transport::Clock::now());
  }
}

/// Waits for the next message. It also writes what the session queues meanwhile: heartbeats, and
/// replies to repeated steps.
///
/// Errors  As flush and Session::filled. TransportError: timed_out if the peer is silent for too
///         long, on a link that HasDeadline; closed if it closes the link, or if the session is
///         over already.
///
/// `guard` is for a state that several threads use. It is held while the session changes the state,
/// but not while this waits for the link.
template <transport::Transport Link, class Guard>
  requires requires(Guard& guard) { guard.lock(); }
Event next(Link& link, Session& session, Guard& guard) {
  if (session.is_over()) throw TransportError(Reason::closed, "next: the session is over");
  flush(link, session);  // may take long: the peer's silence counts from here
  session.listen(transport::Clock::now());
  while (true) {
    flush(link, session);
    transport::set_deadline_if_possible(link, session.wake_at());
    const std::span<std::byte> into = session.space();
    std::size_t n = 0;
    try {
      n = link.read_some(into);
    } catch (const TransportError& error) {
      if (error.reason() != Reason::timed_out) throw;
      const std::lock_guard lock{guard};
      session.tick(transport::Clock::now());
      continue;
    }
    if (n == 0) throw TransportError(Reason::closed, "next: the peer closed the link");
    if (n > into.size())
      throw TransportError(Reason::link_failed, "next: the link stored " + std::to_string(n) +
                                                    " bytes in room for " +
                                                    std::to_string(into.size()));
    const std::lock_guard lock{guard};
    if (const std::optional<Event> event = session.filled(n, transport::Clock::now()))
      return *event;
    session.tick(transport::Clock::now());
  }
}

/// The same for a state that only this thread uses.
template <transport::Transport Link>
Event next(Link& link, Session& session) {
  struct {
    void lock() {}
    void unlock() {}
  } none;
  return next(link, session, none);
}

/// Waits for a message that must be of one kind.
///
/// Errors  As next; WireError (wrong_message) for another kind.
template <transport::Transport Link>
Event next(Link& link, Session& session, MessageKind wanted) {
  const Event event = next(link, session);
  if (event.kind != wanted)
    throw WireError(Reason::wrong_message, std::string{name(event.kind)} + " came where " +
                                               name(wanted) + " was expected");
  return event;
}

/// Writes what is queued, such as an error message. Ignores an error of the link.
template <transport::Transport Link>
void flush_if_possible(Link& link, Session& session) {
  try {
    flush(link, session);
  } catch (const ReasonedError&) {
    // The peer is gone; the first error matters more.
  }
}

/// Tells the peer why this side gives up. Ignores an error of the link.
template <transport::Transport Link>
void tell(Link& link, Session& session, const ReasonedError& error) {
  session.fail(error);
  flush_if_possible(link, session);
}

}  // namespace splitvit::wire
