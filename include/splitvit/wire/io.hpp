// SPDX-License-Identifier: MIT
#pragma once

#include <mutex>  // lock_guard

#include <splitvit/core/error.hpp>          // Reason, ReasonedError, TransportError, WireError
#include <splitvit/transport/concepts.hpp>  // Transport, Clock, deadline_in, set_deadline_if_possible
#include <splitvit/wire/session.hpp>        // Event, Session

// flush and next: a session over a link. The only I/O of the protocol.

namespace splitvit::inline SPLITVIT_BUILD::wire {

/// Writes all that the session has queued. Each write has a deadline of its own.
///
/// Errors  TransportError from the link; timed_out if it takes no byte for options().write_timeout,
///         on a link that HasDeadline.
template <transport::Transport Link>
void flush(Link& link, Session& session) {
  for (Bytes out = session.output(); !out.empty(); out = session.output()) {
    const Time deadline = transport::deadline_in(session.options().write_timeout);
    transport::set_deadline_if_possible(link, deadline);
    session.written(transport::write_part(link, out), transport::Clock::now());
  }
}

/// The guard of a state that only one thread uses.
struct NoGuard {
  void lock() {}
  void unlock() {}
};

/// Waits for the next message. Writes heartbeats and replies to repeated steps meanwhile. `guard`,
/// for a state that several threads use, is held while the session changes it, not while this
/// waits.
///
/// Errors  As flush and Session::filled. TransportError: timed_out if the peer is silent for too
///         long, on a link that HasDeadline; closed if it closes the link, or the session is over.
template <transport::Transport Link, class Guard = NoGuard>
  requires requires(Guard& guard) { guard.lock(); }
Event next(Link& link, Session& session, Guard&& guard = {}) {
  if (session.is_over()) throw TransportError(Reason::closed, "next: the session is over");
  flush(link, session);  // may take long: the peer's silence counts from here
  session.listen(transport::Clock::now());
  while (true) {
    flush(link, session);
    transport::set_deadline_if_possible(link, session.wake_at());
    std::size_t n = 0;
    try {
      n = transport::read_part(link, session.space());
    } catch (const TransportError& error) {
      if (error.reason() != Reason::timed_out) throw;
      const std::lock_guard lock{guard};
      session.tick(transport::Clock::now());
      continue;
    }
    const std::lock_guard lock{guard};
    if (const std::optional<Event> event = session.filled(n, transport::Clock::now()))
      return *event;
    session.tick(transport::Clock::now());
  }
}

/// Returns `event`. Errors  WireError (wrong_message) if it is of another kind.
inline Event require_kind(const Event& event, MessageKind wanted) {
  if (event.kind != wanted)
    throw WireError(Reason::wrong_message,
                    {name(event.kind), " came where ", name(wanted), " was expected"});
  return event;
}

/// Waits for a message of one kind. Errors  As next; WireError (wrong_message) for another kind.
template <transport::Transport Link>
Event next(Link& link, Session& session, MessageKind wanted) {
  return require_kind(next(link, session), wanted);
}

/// Writes what is queued, such as an error message. Ignores an error of the link.
template <transport::Transport Link>
void flush_if_possible(Link& link, Session& session) {
  try {
    flush(link, session);
  } catch (const ReasonedError&) {  // the peer is gone; the first error matters more
  }
}

/// Tells the peer why this side gives up. Ignores an error of the link.
template <transport::Transport Link>
void tell(Link& link, Session& session, const ReasonedError& error) {
  session.fail(error);
  flush_if_possible(link, session);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::wire
