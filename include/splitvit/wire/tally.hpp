// SPDX-License-Identifier: MIT
#pragma once

#include <array>    // array
#include <cstddef>  // size_t
#include <cstdint>  // uint64_t
#include <string>   // string

#include <splitvit/wire/frame.hpp>  // MessageKind, message_kinds, name

// Tally: how many messages and bytes of each kind have passed, over all connections of a session.

namespace splitvit::wire {

/// How much has passed in one direction.
struct Count {
  std::uint64_t messages = 0;
  std::uint64_t payload = 0;  ///< bytes of payloads
  std::uint64_t framed = 0;   ///< bytes on the link: payloads and frame headers

  Count& operator+=(const Count& other) {
    messages += other.messages;
    payload += other.payload;
    framed += other.framed;
    return *this;
  }
  friend bool operator==(const Count&, const Count&) = default;
};

/// Counts of one direction, by kind of message. Every message is counted once: as a repeat if it
/// repeats a step or belongs to a later handshake, else under its kind.
class Tally {
 public:
  void add(MessageKind kind, const Count& count, bool repeat = false) {
    (repeat ? repeats_ : kinds_[static_cast<std::size_t>(kind)]) += count;
  }

  const Count& of(MessageKind kind) const { return kinds_[static_cast<std::size_t>(kind)]; }
  const Count& repeats() const { return repeats_; }
  Count total() const {
    Count sum = repeats_;
    for (const Count& count : kinds_) sum += count;
    return sum;
  }

  /// See core/state.hpp. Each name begins with `prefix`.
  void each_state(const std::string& prefix, auto&& see) {
    const auto one = [&](const std::string& name, Count& count) {
      see(prefix + name + ".messages", count.messages);
      see(prefix + name + ".payload", count.payload);
      see(prefix + name + ".framed", count.framed);
    };
    for (std::size_t kind = 1; kind < message_kinds; ++kind)
      one(name(static_cast<MessageKind>(kind)), kinds_[kind]);
    one("repeats", repeats_);
  }

 private:
  std::array<Count, message_kinds> kinds_{};
  Count repeats_;
};

}  // namespace splitvit::wire
