// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>  // steady_clock, nanoseconds

#include <splitvit/core/error.hpp>  // Reason, TransportError

namespace splitvit::inline SPLITVIT_BUILD::transport {

/// An ordered, reliable stream of bytes between two parties.
///
///   link.read_some(in)    waits, then stores 1 to in.size() bytes and returns how many; 0
///                         only when the peer has closed and all it wrote has been read
///   link.write_some(out)  takes 1 to out.size() bytes and returns how many
///
/// `in` and `out` are not empty. Both throw TransportError when the link fails; writing to a peer
/// that has closed throws it with Reason::closed. One thread may read while another writes.
/// Destruction closes, and wakes a peer that waits. conformance.hpp tests all of this.
template <class T>
concept Transport =
    std::movable<T> && requires(T& link, std::span<std::byte> in, std::span<const std::byte> out) {
      { link.read_some(in) } -> std::same_as<std::size_t>;
      { link.write_some(out) } -> std::same_as<std::size_t>;
    };

using Clock = std::chrono::steady_clock;

/// The moment after which a link stops waiting.
using Deadline = Clock::time_point;
inline constexpr Deadline no_deadline = Deadline::max();

/// The moment that is `wait` after `from`; no_deadline if the clock cannot count that far.
inline Deadline deadline_in(std::chrono::nanoseconds wait, Deadline from = Clock::now()) {
  return wait > no_deadline - from ? no_deadline : from + wait;
}

/// A link that can stop waiting. Optional.
///
///   link.set_deadline(when)  from now on read_some and write_some throw TransportError with
///                            Reason::timed_out instead of waiting past `when`; no byte has moved,
///                            and the link can still be used. A call that already waits may keep
///                            its deadline. Another thread may read or write meanwhile
///
/// Without it there are no heartbeats, and a peer that is silent, gone or slow is not noticed, and
/// holds its place.
template <class T>
concept HasDeadline = requires(T& link, Deadline when) { link.set_deadline(when); };

template <class T>
void set_deadline_if_possible(T& link, Deadline when) {
  if constexpr (HasDeadline<T>) link.set_deadline(when);
}

/// Whether a link can stop waiting: what it says itself, as AnyLink does, or else its type.
template <class T>
bool can_stop_waiting(const T& link) {
  if constexpr (requires { link.has_deadline(); })
    return link.has_deadline();
  else
    return HasDeadline<T>;
}

/// Writes some of `bytes`, which are not empty, and returns how many.
///
/// Errors  TransportError from the link; link_failed if it claims to have taken no byte, or
///         more than it was given.
template <Transport T>
std::size_t write_part(T& link, std::span<const std::byte> bytes) {
  const std::size_t n = link.write_some(bytes);
  if (n == 0 || n > bytes.size())
    throw TransportError(Reason::link_failed,
                         {"write: the link took ", n, " of ", bytes.size(), " bytes"});
  return n;
}

/// Stores at least one byte in `room`, which is not empty, and returns how many.
///
/// Errors  TransportError from the link; closed if the peer has closed it; link_failed if it claims
///         to have stored more than there is room for.
template <Transport T>
std::size_t read_part(T& link, std::span<std::byte> room) {
  const std::size_t n = link.read_some(room);
  if (n == 0) throw TransportError(Reason::closed, "read: the peer closed the link");
  if (n > room.size())
    throw TransportError(Reason::link_failed,
                         {"read: the link stored ", n, " bytes in room for ", room.size()});
  return n;
}

/// Writes every byte. Errors  As write_part.
template <Transport T>
void write_all(T& link, std::span<const std::byte> bytes) {
  while (!bytes.empty()) bytes = bytes.subspan(write_part(link, bytes));
}

/// Fills `bytes`. Errors  As read_part.
template <Transport T>
void read_exactly(T& link, std::span<std::byte> bytes) {
  while (!bytes.empty()) bytes = bytes.subspan(read_part(link, bytes));
}

}  // namespace splitvit::inline SPLITVIT_BUILD::transport
