// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>   // seconds, nanoseconds
#include <cstddef>  // byte
#include <cstdint>  // uint16_t, uint32_t, uint64_t
#include <span>     // span
#include <string>   // string
#include <utility>  // move
#include <vector>   // vector

#include <splitvit/core/error.hpp>          // WireError
#include <splitvit/transport/concepts.hpp>  // deadline_in, set_deadline_if_possible
#include <splitvit/wire/channel.hpp>        // Channel, receive_expected
#include <splitvit/wire/handshake.hpp>      // answer_hello, hello_payload, read_answer, Session

// connect_session and accept_session: a handshake over a link, within a time limit.

namespace splitvit::wire {

struct SessionOptions {
  std::chrono::nanoseconds timeout = std::chrono::seconds{10};  ///< for the whole handshake
  std::uint64_t largest_message = message_ceiling;  ///< bytes; the smaller of both sides holds
  SessionId id = random_session_id();               ///< server only: names the session
  std::uint32_t attach = 1;                         ///< server only: which connection of it
};

namespace detail {

/// Sets a deadline while it lives, on a link that has one.
template <class Link>
class WithDeadline {
 public:
  WithDeadline(Link& link, std::chrono::nanoseconds wait) : link_{link} {
    transport::set_deadline_if_possible(link_, transport::deadline_in(wait));
  }
  WithDeadline(const WithDeadline&) = delete;
  WithDeadline& operator=(const WithDeadline&) = delete;
  ~WithDeadline() { transport::set_deadline_if_possible(link_, transport::no_deadline); }

 private:
  Link& link_;
};

}  // namespace detail

/// The client's side: says hello and waits for the answer. Afterwards the channel is ready
/// for the agreed messages. Takes at most options.timeout on a link that HasDeadline.
///
/// Errors  WireError: refused, naming the field and both values; wrong_message, or bytes that
///         make no sense. TransportError: timed_out, closed, or any other of the link.
///         std::invalid_argument if the settings cannot be sent.
template <class Link>
Session connect_session(Channel<Link>& channel, const Settings& settings,
                        const SessionOptions& options = {}) {
  const detail::WithDeadline limit{channel.link(), options.timeout};
  channel.send(MessageKind::hello, hello_payload(settings, options.largest_message));
  std::vector<std::byte> payload;
  const MessageKind kind = channel.receive(payload);
  const Session session = read_answer(kind, payload, options.largest_message);
  channel.begin(session.attach, session.largest_message);
  return session;
}

/// The server's side: waits for hello and answers it.
///
/// Errors  As connect_session; refused is thrown here too, after the client was told.
template <class Link>
Session accept_session(Channel<Link>& channel, const Settings& settings,
                       const SessionOptions& options = {}) {
  const detail::WithDeadline limit{channel.link(), options.timeout};
  std::vector<std::byte> payload;
  receive_expected(channel, MessageKind::hello, payload);
  const Answer answer = answer_hello(
      payload, settings,
      {.id = options.id, .attach = options.attach, .largest_message = options.largest_message});
  channel.send(answer.kind, answer.payload);
  if (answer.kind == MessageKind::refuse) throw WireError(Reason::refused, answer.refusal);
  channel.begin(answer.session.attach, answer.session.largest_message);
  return answer.session;
}

}  // namespace splitvit::wire
