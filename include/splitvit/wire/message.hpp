// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min
#include <array>      // array
#include <cassert>    // assert
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint32_t, uint64_t
#include <cstring>    // memcpy
#include <optional>   // nullopt, optional
#include <span>       // span
#include <string>     // string, to_string
#include <utility>    // exchange
#include <vector>     // vector

#include <splitvit/core/crc32c.hpp>  // crc32c
#include <splitvit/core/error.hpp>   // WireError
#include <splitvit/wire/frame.hpp>   // FrameHeader, MessageKind

// MessageWriter and MessageReader: messages to frames and back. Neither does any I/O.

namespace splitvit::wire {

using Bytes = std::span<const std::byte>;

/// The largest message before the peer is admitted, and the most that can be agreed later.
inline constexpr std::uint64_t unadmitted_limit = std::uint64_t{4} << 10;
inline constexpr std::uint64_t message_ceiling = std::uint64_t{256} << 20;

/// How much of one kind has passed in one direction.
struct Count {
  std::uint64_t messages = 0;
  std::uint64_t payload = 0;  ///< bytes the caller gave or got
  std::uint64_t framed = 0;   ///< bytes on the link, headers included

  Count& operator+=(const Count& other) {
    messages += other.messages;
    payload += other.payload;
    framed += other.framed;
    return *this;
  }
  friend bool operator==(const Count&, const Count&) = default;
};

/// What a writer and a reader have in common: limits, numbers and counters of one direction.
class Direction {
 public:
  /// Begins an attach: frames carry its number and are counted from 0 again.
  void begin(std::uint32_t attach, std::uint64_t limit) {
    attach_ = attach;
    limit_ = limit;
    sequence_ = 0;
  }
  /// The most bytes that a message may hold.
  std::uint64_t limit() const { return limit_; }

  const Count& count(MessageKind kind) const { return counts_[static_cast<std::size_t>(kind)]; }
  Count total() const {
    Count sum;
    for (const Count& count : counts_) sum += count;
    return sum;
  }

 protected:
  void check_limit(MessageKind kind, std::uint64_t bytes) const {
    if (bytes > limit_)
      throw WireError(Reason::too_long, std::string{name(kind)} + ": a message of at least " +
                                            std::to_string(bytes) + " bytes, at most " +
                                            std::to_string(limit_) + " are agreed");
  }

  std::uint32_t attach_ = 0;
  std::uint64_t limit_ = unadmitted_limit;
  std::uint64_t sequence_ = 0;
  std::array<Count, message_kinds> counts_{};
};

/// Cuts messages into frames.
class MessageWriter : public Direction {
 public:
  /// Calls `sink(bytes)` for consecutive pieces of the frames of a message whose payload is
  /// all `parts` in order. Long parts are passed on as they are, not copied.
  ///
  /// Errors  WireError (too_long) if the payload is above the limit, before any call;
  ///         what the sink throws, after which the link is of no more use.
  template <class Sink>
  void write(MessageKind kind, std::span<const Bytes> parts, Sink&& sink) {
    std::uint64_t left = 0;
    for (const Bytes part : parts) left += part.size();
    check_limit(kind, left);
    Count& count = counts_[static_cast<std::size_t>(kind)];
    count.messages += 1;
    count.payload += left;

    short_.clear();
    Cursor at{parts};
    do {
      const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(left, largest_frame));
      left -= length;
      FrameHeader header{.kind = kind,
                         .continues = left > 0,
                         .length = static_cast<std::uint32_t>(length),
                         .attach = attach_,
                         .sequence = sequence_++};
      Cursor{at}.advance(
          length, [&](Bytes piece) { header.payload_crc = crc32c(piece, header.payload_crc); });
      put_header(short_, header);
      at.advance(length, [&](Bytes piece) { pass_on(piece, sink); });
      count.framed += frame_header_bytes + length;
    } while (left > 0);
    if (!short_.empty()) sink(Bytes{short_});
  }

 private:
  /// A position within the parts.
  struct Cursor {
    std::span<const Bytes> parts;
    std::size_t used = 0;  // of parts.front()

    template <class Visit>
    void advance(std::size_t bytes, const Visit& visit) {
      while (bytes > 0) {
        const Bytes piece = parts.front().subspan(used);
        const std::size_t n = std::min(bytes, piece.size());
        if (n > 0) visit(piece.first(n));
        bytes -= n;
        used += n;
        if (used < parts.front().size()) return;
        parts = parts.subspan(1);
        used = 0;
      }
    }
  };

  // Headers and short parts travel together: each call of the sink may cost a packet.
  template <class Sink>
  void pass_on(Bytes piece, Sink& sink) {
    constexpr std::size_t worth_copying = 4096, flush_at = 65536;
    const bool copied = piece.size() <= worth_copying;
    if (copied) short_.insert(short_.end(), piece.begin(), piece.end());
    if ((!copied && !short_.empty()) || short_.size() >= flush_at) {
      sink(Bytes{short_});
      short_.clear();
    }
    if (!copied) sink(piece);
  }

  std::vector<std::byte> short_;
};

/// Puts frames together again. Whoever does the I/O asks for `space`, stores bytes there and
/// reports them by `filled`. Memory for a payload is never more than min(claimed, twice what
/// has come + 64 KiB), or what the caller's vector had already.
///
/// Errors  WireError for anything but the next frame: what read_header throws; wrong_step for
///         another attach or sequence number; wrong_message if the kind changes within a
///         message; malformed for an empty frame that continues; too_long above the limit;
///         bad_checksum for a damaged payload. The link is of no more use then.
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

  /// The first n bytes of `space` are there. Returns the kind when a message is complete;
  /// `payload` then holds exactly its bytes.
  std::optional<MessageKind> filled(std::size_t n, std::vector<std::byte>& payload) {
    if (frame_left_ == 0) {
      header_filled_ += n;
      assert(header_filled_ <= frame_header_bytes);
      if (header_filled_ < frame_header_bytes) return std::nullopt;
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
      throw WireError(Reason::bad_checksum,
                      std::string{name(frame_.kind)} + ": the payload was damaged on the way");
    counts_[static_cast<std::size_t>(frame_.kind)].framed += frame_header_bytes + frame_.length;
    under_way_ = frame_.continues;
    if (under_way_) return std::nullopt;
    payload.resize(received_);
    Count& count = counts_[static_cast<std::size_t>(frame_.kind)];
    count.messages += 1;
    count.payload += std::exchange(received_, 0);
    return frame_.kind;
  }

  /// Takes bytes as they come and calls `on_message(kind)` whenever `payload` is complete.
  template <class OnMessage>
  void feed(Bytes bytes, std::vector<std::byte>& payload, OnMessage&& on_message) {
    while (!bytes.empty()) {
      const std::span<std::byte> into = space(payload);
      const std::size_t n = std::min(into.size(), bytes.size());
      std::memcpy(into.data(), bytes.data(), n);
      bytes = bytes.subspan(n);
      if (const auto kind = filled(n, payload)) on_message(*kind);
    }
  }

 private:
  static constexpr std::size_t first_room = std::size_t{64} << 10;

  void check_frame() {
    if (frame_.attach != attach_ || frame_.sequence != sequence_)
      throw WireError(Reason::wrong_step, std::string{name(frame_.kind)} + ": frame " +
                                              std::to_string(frame_.sequence) + " of attach " +
                                              std::to_string(frame_.attach) + " came, frame " +
                                              std::to_string(sequence_) + " of attach " +
                                              std::to_string(attach_) + " was expected");
    ++sequence_;
    if (under_way_ && frame_.kind != kind_)
      throw WireError(Reason::wrong_message,
                      std::string{name(frame_.kind)} + ": came in the middle of " + name(kind_));
    if (frame_.continues && frame_.length == 0)
      throw WireError(Reason::malformed,
                      std::string{name(frame_.kind)} + ": an empty frame that continues");
    check_limit(frame_.kind, std::uint64_t{received_} + frame_.length);
    kind_ = frame_.kind;
  }

  std::array<std::byte, frame_header_bytes> header_{};
  std::size_t header_filled_ = 0;
  FrameHeader frame_{};
  std::size_t frame_left_ = 0;  // bytes of the frame's payload still to come
  std::size_t received_ = 0;    // bytes of the message's payload that have come
  std::uint32_t crc_ = 0;
  bool under_way_ = false;  // a message has begun and continues in the next frame
  MessageKind kind_{};      // of that message
};

}  // namespace splitvit::wire
