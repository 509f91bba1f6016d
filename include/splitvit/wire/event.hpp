// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>  // uint32_t, uint64_t

#include <splitvit/core/bytes.hpp>         // ByteReader
#include <splitvit/wire/frame.hpp>         // MessageKind, name
#include <splitvit/wire/output_queue.hpp>  // Bytes
#include <splitvit/wire/reply_cache.hpp>   // StepNumber

// Event: a received message, as a session returns it.

namespace splitvit::wire {

/// A received message.
struct Event {
  MessageKind kind = MessageKind::bye;
  StepNumber at = {};  ///< of forward and backward
  Bytes payload;       ///< without the step number; valid until the session is given more bytes
};

/// Separates the number of a step, u64 step and u32 part, from the rest of the payload.
///
/// Errors  WireError (truncated).
inline Event numbered_event(MessageKind kind, Bytes payload) {
  ByteReader in{payload, name(kind)};
  Event event{.kind = kind, .payload = {}};
  event.at.step = in.get<std::uint64_t>();
  event.at.micro = in.get<std::uint32_t>();
  event.payload = in.get_bytes(in.left());
  return event;
}

}  // namespace splitvit::wire
