// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>    // steady_clock, nanoseconds
#include <concepts>  // movable, same_as
#include <cstddef>   // byte, size_t
#include <span>      // span

// Transport: the two functions that a link must offer, and a third one that it may offer.

namespace splitvit::transport {

/// An ordered, reliable stream of bytes between two parties.
///
///   expression            returns   meaning
///   link.read_some(in)    size_t    in is not empty. Waits, then stores 1 to
///                                   in.size() bytes and returns how many;
///                                   0 only when the peer has closed and all it
///                                   wrote before has been read
///   link.write_some(out)  size_t    out is not empty. Takes 1 to out.size() bytes
///
/// Both throw TransportError when the link fails; writing to a peer that has closed throws
/// it with Reason::closed. One thread may read while another writes. Destruction closes, and
/// wakes a peer that waits. `check_transport` in conformance.hpp tests all of this.
template <class T>
concept Transport =
    std::movable<T> && requires(T& link, std::span<std::byte> in, std::span<const std::byte> out) {
      { link.read_some(in) } -> std::same_as<std::size_t>;
      { link.write_some(out) } -> std::same_as<std::size_t>;
    };

using Clock = std::chrono::steady_clock;

/// The moment after which a link stops waiting.
using Deadline = Clock::time_point;

/// Wait for ever.
inline constexpr Deadline no_deadline = Deadline::max();

/// The moment that is `wait` from now; no_deadline if the clock cannot count that far.
inline Deadline deadline_in(std::chrono::nanoseconds wait) {
  const Deadline now = Clock::now();
  return wait > no_deadline - now ? no_deadline : now + wait;
}

/// A link that can stop waiting. Optional.
///
///   expression               meaning
///   link.set_deadline(when)  from now on read_some and write_some throw TransportError
///                            with Reason::timed_out instead of waiting past `when`. Such a
///                            call has moved no byte, and the link can still be used.
///                            A call that already waits may keep the deadline it began with
///
/// Without it a silent peer is not noticed: a handshake or a step then waits for as long as the
/// link does, and a peer that sends one byte an hour holds its place.
template <class T>
concept HasDeadline = requires(T& link, Deadline when) { link.set_deadline(when); };

/// Whether a link can stop waiting. A wrapper of any link type answers by itself.
template <class T>
bool has_deadline(const T& link) {
  if constexpr (requires {
                  { link.has_deadline() } -> std::same_as<bool>;
                })
    return link.has_deadline();
  else
    return HasDeadline<T>;
}

/// Sets the deadline of a link that has one. Returns whether it has.
template <class T>
bool set_deadline_if_possible(T& link, Deadline when) {
  if constexpr (HasDeadline<T>) link.set_deadline(when);
  return has_deadline(link);
}

}  // namespace splitvit::transport
