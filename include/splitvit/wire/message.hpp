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

#include <splitvit/core/crc32c.hpp>        // crc32c
#include <splitvit/core/error.hpp>         // Reason, WireError
#include <splitvit/wire/frame.hpp>         // FrameHeader, MessageKind, largest_frame, read_header
#include <splitvit/wire/output_queue.hpp>  // Bytes, OutputQueue

// MessageWriter and MessageReader: messages to frames and back, without I/O.

namespace splitvit::wire {

/// The largest message before the peer is admitted, and the most that can be agreed later.
inline constexpr std::uint64_t unadmitted_limit = std::uint64_t{4} << 10;
inline constexpr std::uint64_t message_ceiling = std::uint64_t{256} << 20;

/// What a writer and a reader have in common: the limit and the numbers of one direction.
class Direction {
 public:
  /// Begins a connection: frames carry its number and are counted from 0 again.
  void begin(std::uint32_t connection, std::uint64_t limit) {
    connection_ = connection;
    limit_ = limit;
    sequence_ = 0;
  }
  /// The most bytes that a message may hold.
  std::uint64_t limit() const { return limit_; }

 protected:
  void check_limit(MessageKind kind, std::uint64_t bytes) const {
    if (bytes > limit_)
      throw WireError(Reason::too_long, std::string{name(kind)} + ": a message of at least " +
                                            std::to_string(bytes) + " bytes, at most " +
                                            std::to_string(limit_) + " are agreed");
  }

  std::uint32_t connection_ = 0;
  std::uint64_t limit_ = unadmitted_limit;
  std::uint64_t sequence_ = 0;
};

/// Cuts messages into frames.
class MessageWriter : public Direction {
 public:
  /// Appends the frames of a message whose payload is all `parts` in order. Returns how many bytes
  /// they take, headers included. Long parts are borrowed: see OutputQueue.
  ///
  /// Errors  WireError (too_long) if the payload is above the limit. After any error nothing is
  ///         appended.
  std::uint64_t write(MessageKind kind, std::span<const Bytes> parts, OutputQueue& out) {
    const OutputQueue::Mark before = out.mark();
    const std::uint64_t sequence = sequence_;
    try {
      return append(kind, parts, out);
    } catch (...) {
      out.rollback(before);
      sequence_ = sequence;
      throw;
    }
  }

  /// Does everything in `write` that can fail, for a short part and a part of `bytes` bytes.
  ///
  /// Errors  WireError (too_long) as write.
  void prepare(MessageKind kind, std::uint64_t short_part, std::uint64_t bytes,
               OutputQueue& out) const {
    check_limit(kind, short_part + bytes);
    const auto frames = static_cast<std::size_t>((short_part + bytes) / largest_frame + 1);
    // Of the long part at most the beginning and the end are short enough to be copied.
    out.reserve(frames * frame_header_bytes + static_cast<std::size_t>(short_part) +
                    2 * OutputQueue::longest_copy,
                2 * frames + 2);
  }

 private:
  std::uint64_t append(MessageKind kind, std::span<const Bytes> parts, OutputQueue& out) {
    std::uint64_t left = 0;
    for (const Bytes part : parts) left += part.size();
    check_limit(kind, left);
    std::uint64_t framed = 0;
    Cursor at{parts};
    do {
      const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(left, largest_frame));
      left -= length;
      FrameHeader header{.kind = kind,
                         .continues = left > 0,
                         .length = static_cast<std::uint32_t>(length),
                         .connection = connection_,
                         .sequence = sequence_++};
      Cursor{at}.advance(
          length, [&](Bytes piece) { header.payload_crc = crc32c(piece, header.payload_crc); });
      out.append(header);
      at.advance(length, [&](Bytes piece) { out.append(piece); });
      framed += frame_header_bytes + length;
    } while (left > 0);
    return framed;
  }

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
};

/// Joins frames into messages. The caller asks for `space`, stores bytes there and reports them by
/// `filled`. The memory for a payload is at most min(claimed bytes, twice the received bytes + 64
/// KiB), or what the caller's vector had already. A heartbeat may come between the frames of a
/// message.
///
/// Errors  WireError for anything except the next frame: what read_header throws; wrong_step for
///         another connection or sequence number; wrong_message if the kind changes within a
///         message; malformed for an empty frame that continues, or a heartbeat that is not one
///         empty frame; too_long above the limit; bad_checksum for a damaged payload. The reader
///         cannot be used after an error.
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
    if (frame_.kind == MessageKind::heartbeat) return frame_.kind;
    framed_ += frame_header_bytes + frame_.length;
    under_way_ = frame_.continues;
    if (under_way_) return std::nullopt;
    payload.resize(std::exchange(received_, 0));
    last_framed_ = std::exchange(framed_, 0);
    return frame_.kind;
  }

  /// The bytes of the message that was completed last, headers included.
  std::uint64_t last_framed() const { return last_framed_; }

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
    if (frame_.connection != connection_ || frame_.sequence != sequence_)
      throw WireError(Reason::wrong_step, std::string{name(frame_.kind)} + ": frame " +
                                              std::to_string(frame_.sequence) + " of connection " +
                                              std::to_string(frame_.connection) + " came, frame " +
                                              std::to_string(sequence_) + " of connection " +
                                              std::to_string(connection_) + " was expected");
    ++sequence_;
    if (frame_.kind == MessageKind::heartbeat) {
      if (frame_.continues || frame_.length > 0)
        throw WireError(Reason::malformed, "heartbeat: wanted one empty frame");
      return;
    }
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
  std::size_t frame_left_ = 0;  // bytes of the frame's payload not received yet
  std::size_t received_ = 0;    // bytes of the message's payload received
  std::uint32_t crc_ = 0;
  std::uint64_t framed_ = 0, last_framed_ = 0;
  bool under_way_ = false;  // a message has begun and continues in the next frame
  MessageKind kind_{};      // of that message
};

}  // namespace splitvit::wire
