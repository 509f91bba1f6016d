// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>         // max
#include <initializer_list>  // initializer_list

#include <splitvit/core/bytes.hpp>      // ByteReader
#include <splitvit/core/crc32c.hpp>     // crc32c
#include <splitvit/core/state.hpp>      // show_numbers, show_text, show_u32
#include <splitvit/wire/frame.hpp>      // Bytes, largest_frame, MessageKind, name
#include <splitvit/wire/handshake.hpp>  // SessionId
#include <splitvit/wire/steps.hpp>      // ReplyCache, StepMark

namespace splitvit::inline SPLITVIT_BUILD::wire {

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

/// What a message takes on the link if its payload has so many bytes.
inline Count count_of_message(std::uint64_t payload) {
  const std::uint64_t frames = payload == 0 ? 1 : (payload - 1) / largest_frame + 1;
  return {.messages = 1, .payload = payload, .framed = payload + frames * frame_header_bytes};
}

/// Counts of one direction, by kind of message; of repeated steps and handshakes on their own.
class Tally {
 public:
  void add(MessageKind kind, const Count& count, bool repeat = false) {
    (repeat ? repeats_ : kinds_[static_cast<std::size_t>(kind)]) += count;
  }
  /// For a kind that counts as a repeat from its second message on.
  void add_once(MessageKind kind, const Count& count) { add(kind, count, of(kind).messages > 0); }

  /// Counts what `later`, a later state of this tally, has more as repeats, since it will pass
  /// again. Kinds in `once` are not sent again: those that are not counted here yet are taken from
  /// it.
  void add_repeats(const Tally& later, std::initializer_list<MessageKind> once) {
    for (const MessageKind kind : once)
      if (of(kind).messages == 0) kinds_[static_cast<std::size_t>(kind)] = later.of(kind);
    const Count now = total(), then = later.total();
    repeats_ += {.messages = then.messages - now.messages,
                 .payload = then.payload - now.payload,
                 .framed = then.framed - now.framed};
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

/// The turn messages that have passed in one direction: each begins with a number, which grows.
struct TurnMark {
  std::uint64_t next = 0;  ///< a smaller number is a repeat

  /// Remembers that a message passes. Returns whether it is a turn that had passed before.
  bool pass(MessageKind kind, Bytes payload) {
    if (kind != MessageKind::turn || payload.size() < sizeof next) return false;
    const auto number = ByteReader{payload}.get<std::uint64_t>();
    if (number < next) return true;
    next = number + 1;
    return false;
  }
};

/// A checksum of the contents of one part of a step, however they are split into pieces.
inline std::uint32_t digest_of(std::span<const Bytes> pieces) {
  std::uint32_t digest = 0;
  for (const Bytes piece : pieces) digest = crc32c(piece, digest);
  return digest;
}

/// What a party keeps of a session between connections. A checkpoint stores all of it.
struct SessionState {
  SessionId id{};                ///< zero until the session has one
  std::uint32_t client = 0;      ///< number of the client
  std::uint32_t connection = 0;  ///< number of the newest connection; an older one is refused
  ReplyCache steps = {};         ///< a client has no replies, only the last step
  Tally sent = {}, received = {};
  StepMark sent_steps = {}, received_steps = {};  ///< a message up to these is a repeat
  TurnMark sent_turns = {}, received_turns = {};
  std::vector<std::uint32_t> digests = {};  ///< client: of the parts of sent_steps.step, in order
  /// Server: whom the client has proved to be; see transport::AnyLink. Nobody else may go on.
  std::string identity = {};

  /// Counts a message without a step number that begins with these bytes. What should pass once
  /// only, and a turn that has passed before, are repeats.
  void count_sent(MessageKind kind, const Count& count, Bytes begin, bool by_client) {
    const bool passes_once =
        kind == MessageKind::bye || (kind == MessageKind::weights && by_client);
    sent.add(kind, count, passes_once ? sent.of(kind).messages > 0 : sent_turns.pass(kind, begin));
  }

  /// Client: a part of a step with this digest can be sent, and count_step has room for it.
  /// Errors  std::logic_error if it was sent before with other contents.
  void prepare_step(StepNumber at, std::uint32_t digest) {
    const bool repeat = sent_steps.has_passed(at);
    if (repeat && at.micro < digests.size() && digests[at.micro] != digest)
      throw std::logic_error("send_step: " + at.text() +
                             " was sent before with other contents; train the same batch again");
    if (!repeat && at.micro == 0) digests.clear();
    digests.reserve(std::size_t{at.micro} + 1);
  }
  /// Client: it is sent.
  void count_step(StepNumber at, std::uint32_t digest, const Count& count) {
    const bool repeat = sent_steps.pass(at);
    sent.add(MessageKind::forward, count, repeat);
    if (!repeat) digests.push_back(digest);
  }

  /// The step after the last one counts as if it had never come to pass.
  void drop_step() {
    steps.drop();
    digests.clear();
    for (StepMark* const mark : {&sent_steps, &received_steps})
      if (mark->step > steps.last()) mark->parts = 0;
  }

  /// The session of a client that has come anew counts on from its earlier one.
  void count_on(const SessionState& earlier) {
    sent = earlier.sent;
    received = earlier.received;
  }

  /// Becomes a state from a checkpoint. If this is a later state of the same session, its
  /// connection stays the newest one, and what has passed since counts as repeats.
  void go_back_to(SessionState earlier) {
    if (id == earlier.id) {
      earlier.connection = std::max(connection, earlier.connection);
      earlier.sent.add_repeats(sent, {MessageKind::hello, MessageKind::weights});
      earlier.received.add_repeats(received, {MessageKind::welcome});
    }
    *this = std::move(earlier);
  }

  /// See core/state.hpp.
  void each_state(auto&& see) {
    see("session.0", id[0]);
    see("session.1", id[1]);
    show_u32(see, "client", client);
    show_u32(see, "connection", connection);
    steps.each_state(see);
    sent.each_state("sent.", see);
    received.each_state("received.", see);
    sent_steps.each_state("sent.", see);
    received_steps.each_state("received.", see);
    see("sent.turns", sent_turns.next);
    see("received.turns", received_turns.next);
    show_numbers(see, "digests", digests);
    show_text(see, "identity", identity);
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::wire
