// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // count, max, min
#include <cassert>    // assert

#include <splitvit/core/bytes.hpp>   // ByteReader
#include <splitvit/core/crc32c.hpp>  // crc32c
#include <splitvit/core/error.hpp>   // Reason, WireError
#include <splitvit/wire/frame.hpp>   // Bytes, FrameHeader, MessageKind, read_header, require_magic
#include <splitvit/wire/steps.hpp>   // StepNumber

// Received messages: MessageReader joins frames, without I/O, and Phase says which may come.

namespace splitvit::inline SPLITVIT_BUILD::wire {

/// A received message, as a session returns it.
struct Event {
  MessageKind kind = MessageKind::bye;
  StepNumber at = {};  ///< of forward and backward
  Bytes payload;       ///< without the step number; valid until the session is given more bytes
};

/// Separates u64 step and u32 part from the rest of the payload. Errors  WireError (truncated).
inline Event numbered_event(MessageKind kind, Bytes payload) {
  ByteReader in{payload, name(kind)};
  Event event{.kind = kind, .payload = {}};
  in.get_to(event.at.step, event.at.micro);
  event.payload = in.get_bytes(in.left());
  return event;
}

/// How far one party has come on its connection.
enum class Phase {
  awaits_hello,    ///< a server that waits for hello
  decides,         ///< a server that has read hello and not answered it
  awaits_welcome,  ///< a client that waits for the answer to hello
  open,            ///< the handshake is complete
  ended,
};

/// Which party this side is.
enum class Role { server, client };

/// Whether the peer may send this message now.
constexpr bool may_come(MessageKind kind, Phase phase, Role role) {
  using enum MessageKind;
  if (kind == error) return true;
  if (kind == hello) return phase == Phase::awaits_hello;
  if (kind == welcome || kind == refuse) return phase == Phase::awaits_welcome;
  if (phase != Phase::open) return false;
  if (kind == forward || kind == evaluate || kind == fetch_weights) return role == Role::server;
  if (kind == backward || kind == evaluated) return role == Role::client;
  return true;  // heartbeat, weights, bye, checkpoint, turn
}

/// Whether a message has no step number and is not of the session itself.
constexpr bool is_without_step(MessageKind kind) {
  using enum MessageKind;
  return kind == evaluate || kind == evaluated || kind == fetch_weights || kind == weights ||
         kind == bye || kind == checkpoint || kind == turn;
}

/// Errors  WireError (wrong_message) for a message that must not come now.
inline void require_may_come(MessageKind kind, Phase phase, Role role) {
  if (may_come(kind, phase, role)) return;
  const char* const when[] = {"before hello", "before the answer to hello", "in answer to hello",
                              "now", "after the end"};
  throw WireError(Reason::wrong_message,
                  {name(kind), " must not come ", when[static_cast<std::size_t>(phase)]});
}

/// What a writer and a reader have in common: the limit and the numbers of one direction.
class Direction {
 public:
  /// Begins a connection: frames carry its number and are counted from 0 again.
  void begin(std::uint32_t connection, std::uint64_t limit) {
    connection_ = connection;
    limit_ = limit;
    sequence_ = 0;
  }

 protected:
  void check_limit(MessageKind kind, std::uint64_t bytes) const {
    if (bytes > limit_)
      throw WireError(Reason::too_long, {name(kind), ": a message of at least ", bytes,
                                         " bytes, at most ", limit_, " are agreed"});
  }

  std::uint32_t connection_ = 0;
  std::uint64_t limit_ = unadmitted_limit;
  std::uint64_t sequence_ = 0;
};

/// The payload of the message that is received, and of the one before while it is still in use.
struct Payloads {
  std::vector<std::byte> newest;

  /// The next message begins: what `newest` holds stays as it is until `done`. The next message
  /// must not be completed before.
  void keep() {
    std::swap(newest, before_);
    keeps_ = true;
  }
  void done() { keeps_ = false; }
  /// Frees the memory of the complete message, which is not used any more: for messages that are
  /// large and rare.
  void release() {
    (keeps_ ? before_ : newest) = std::vector<std::byte>{};  // = {} would keep it
  }

 private:
  std::vector<std::byte> before_;
  bool keeps_ = false;
};

/// Joins frames into messages. The caller asks for `space`, stores bytes there and reports them by
/// `filled`. The memory for a payload is at most min(claimed bytes, twice the received bytes + 64
/// KiB), or what the caller's vector had already.
///
/// Errors  WireError, which ends its use: as read_header; wrong_step for another connection or
///         sequence number; wrong_message if the kind changes within a message; malformed for an
///         empty frame that continues, or a heartbeat that is not one empty frame; too_long above
///         the limit; bad_checksum for a damaged payload.
class MessageReader : public Direction {
 public:
  /// Where the next bytes belong; never empty. Use the same `payload` until it is complete.
  std::span<std::byte> space(std::vector<std::byte>& payload) {
    if (frame_left_ == 0) return std::span{header_}.subspan(header_filled_);
    const std::size_t room = std::max(payload.capacity(), 2 * received_ + first_room);
    const std::size_t size = std::min(received_ + frame_left_, room);
    if (payload.size() < size) {
      payload.reserve(size);  // exactly; resize alone may take twice as much
      payload.resize(size);
    }
    return std::span{payload}.subspan(received_, size - received_);
  }

  /// The first n bytes of `space` are filled. Returns the kind when a message is complete;
  /// `payload` then holds exactly its bytes. A heartbeat does not change it.
  std::optional<MessageKind> filled(std::size_t n, std::vector<std::byte>& payload) {
    if (frame_left_ == 0) {
      header_filled_ += n;
      assert(header_filled_ <= frame_header_bytes);
      if (header_filled_ < frame_header_bytes) {
        require_magic(std::span{header_}.first(header_filled_));
        return std::nullopt;
      }
      header_filled_ = 0;
      frame_ = read_header(header_);
      check_frame();
      frame_left_ = frame_.length;
      crc_ = 0;
    } else {
      assert(n <= frame_left_);
      crc_ = crc32c(std::span{payload}.subspan(received_, n), crc_);
      received_ += n;
      frame_left_ -= n;
    }
    if (frame_left_ > 0) return std::nullopt;
    if (crc_ != frame_.payload_crc)
      throw WireError(Reason::bad_checksum, {name(frame_.kind), ": damaged on the way"});
    if (frame_.kind == MessageKind::heartbeat) return frame_.kind;
    framed_ += frame_header_bytes + frame_.length;
    under_way_ = frame_.continues;
    if (under_way_) return std::nullopt;
    payload.resize(std::exchange(received_, 0));
    last_framed_ = std::exchange(framed_, 0);
    return frame_.kind;
  }

  /// Whether more bytes of a frame must come.
  bool is_in_frame() const { return header_filled_ > 0 || frame_left_ > 0; }
  /// Whether more bytes of a message must come.
  bool is_in_message() const { return frame_left_ > 0 || under_way_; }
  /// Whether n bytes in `space` complete a header that is not a heartbeat's: the payload follows.
  bool completes_header(std::size_t n) const {
    return frame_left_ == 0 && header_filled_ + n == frame_header_bytes &&
           header_[kind_offset] != std::byte{static_cast<std::uint8_t>(MessageKind::heartbeat)};
  }

  /// Whether these n bytes begin a message, whose payload is written to from now on.
  bool begins_message(std::size_t n) const { return completes_header(n) && !under_way_; }
  /// Whether n bytes in `space` complete a message that is not a heartbeat.
  bool completes_message(std::size_t n) const {
    if (frame_left_ > 0) return n == frame_left_ && !frame_.continues;
    const auto length = std::span{header_}.subspan(length_offset, sizeof frame_.length);
    return completes_header(n) && std::ranges::count(length, std::byte{}) == sizeof frame_.length;
  }

  /// The bytes of the message that was completed last, headers included.
  std::uint64_t last_framed() const { return last_framed_; }

 private:
  static constexpr std::size_t first_room = std::size_t{64} << 10;
  static constexpr std::size_t kind_offset = 5, length_offset = 8;  // in a header

  void check_frame() {
    const char* const came = name(frame_.kind);
    if (frame_.connection != connection_ || frame_.sequence != sequence_)
      throw WireError(Reason::wrong_step, {came, ": frame ", frame_.sequence, " of connection ",
                                           frame_.connection, " came, frame ", sequence_,
                                           " of connection ", connection_, " was expected"});
    ++sequence_;
    if (frame_.kind == MessageKind::heartbeat) {
      if (frame_.continues || frame_.length > 0)
        throw WireError(Reason::malformed, "heartbeat: wanted one empty frame");
      return;
    }
    if (under_way_ && frame_.kind != kind_)
      throw WireError(Reason::wrong_message, {came, ": came in the middle of ", name(kind_)});
    if (frame_.continues && frame_.length == 0)
      throw WireError(Reason::malformed, {came, ": an empty frame that continues"});
    check_limit(frame_.kind, std::uint64_t{received_} + frame_.length);
    kind_ = frame_.kind;
  }

  std::array<std::byte, frame_header_bytes> header_{};
  std::size_t header_filled_ = 0;
  FrameHeader frame_{};
  std::size_t frame_left_ = 0;  // bytes of the frame's payload not received yet
  std::size_t received_ = 0;    // bytes of the message's payload received
  std::uint32_t crc_ = 0;
  std::uint64_t framed_ = 0, last_framed_ = 0;
  bool under_way_ = false;  // a message has begun and continues in the next frame
  MessageKind kind_{};      // of that message
};

}  // namespace splitvit::inline SPLITVIT_BUILD::wire
