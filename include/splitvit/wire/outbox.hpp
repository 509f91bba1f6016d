// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min

#include <splitvit/core/bytes.hpp>          // ByteWriter
#include <splitvit/core/crc32c.hpp>         // crc32c
#include <splitvit/wire/frame.hpp>          // Bytes, FrameHeader, MessageKind, put_header
#include <splitvit/wire/message.hpp>        // Direction
#include <splitvit/wire/session_state.hpp>  // Count, count_of_message
#include <splitvit/wire/steps.hpp>          // StepNumber

namespace splitvit::inline SPLITVIT_BUILD::wire {

/// Bytes that wait to be written, as a list of pieces. Short pieces are copied; long ones are
/// borrowed and must live until they are written. Memory is reused.
class OutputQueue {
 public:
  static constexpr std::size_t longest_copy = 4096;

  void append(const FrameHeader& header) {
    const std::size_t begin = copied_.size();
    put_header(copied_, header);
    extend(begin);
  }
  /// Copies bytes up to 4 KiB, since each piece may cost a packet, and borrows longer ones.
  void append(Bytes bytes) {
    if (bytes.empty()) return;
    if (bytes.size() > longest_copy) {
      pieces_.push_back({.borrowed = bytes});
      return;
    }
    const std::size_t begin = copied_.size();
    copied_.insert(copied_.end(), bytes.begin(), bytes.end());
    extend(begin);
  }

  bool empty() const { return pieces_.empty(); }
  /// The rest of the first piece, valid until the next call that is not const; empty if none waits.
  Bytes front() const {
    if (pieces_.empty()) return {};
    const Piece& piece = pieces_[first_];
    return (piece.borrowed.empty() ? Bytes{copied_}.subspan(piece.begin, piece.size)
                                   : piece.borrowed)
        .subspan(written_);
  }
  /// The first `count` bytes of front() have been written.
  void written(std::size_t count) {
    written_ += std::min(count, front().size());
    if (!front().empty()) return;
    written_ = 0;
    if (++first_ < pieces_.size()) return;
    pieces_.clear();
    copied_.clear();
    first_ = 0;
  }

  /// Where the queue ends now. Valid until something is written.
  struct Mark {
    std::size_t copied = 0, pieces = 0, last_size = 0;
  };
  Mark mark() const {
    return {copied_.size(), pieces_.size(), pieces_.empty() ? 0 : pieces_.back().size};
  }
  /// Removes everything that was appended since the mark.
  void rollback(const Mark& mark) noexcept {
    copied_.resize(mark.copied);
    pieces_.resize(mark.pieces);
    if (!pieces_.empty()) pieces_.back().size = mark.last_size;
  }

  /// Takes memory, so that appending `copied` copied bytes in `pieces` pieces cannot fail.
  void reserve(std::size_t copied, std::size_t pieces) {
    copied_.reserve(copied_.size() + copied);
    pieces_.reserve(pieces_.size() + pieces);
  }

 private:
  struct Piece {
    Bytes borrowed = {};
    std::size_t begin = 0, size = 0;  // within copied_, unless borrowed
  };

  /// Adds the copied bytes from `begin` on to the last piece, or to a new one if that is borrowed.
  void extend(std::size_t begin) {
    if (pieces_.empty() || !pieces_.back().borrowed.empty()) pieces_.push_back({.begin = begin});
    pieces_.back().size += copied_.size() - begin;
  }

  std::vector<std::byte> copied_;
  std::vector<Piece> pieces_;
  std::size_t first_ = 0;    // the first piece that is not fully written
  std::size_t written_ = 0;  // bytes of it that are written
};

/// The messages of one connection as frames that wait to be written, without I/O. Long parts are
/// borrowed until they are written: see OutputQueue.
class Outbox : public Direction {
 public:
  /// Queues a message whose payload is all `parts` in order.
  ///
  /// Errors  WireError (too_long) above the limit. After any error nothing is queued.
  Count queue(MessageKind kind, std::span<const Bytes> parts) {
    std::uint64_t payload = 0;
    for (const Bytes part : parts) payload += part.size();
    check_limit(kind, payload);
    const OutputQueue::Mark before = queue_.mark();
    const std::uint64_t sequence = sequence_;
    try {
      append_frames(kind, parts, payload);
    } catch (...) {
      queue_.rollback(before);
      sequence_ = sequence;
      throw;
    }
    const Count count = count_of_message(payload);
    queued_ += count.framed;
    return count;
  }
  /// As above; the payload begins with the number of a step: u64 step, u32 part.
  Count queue(MessageKind kind, StepNumber at, std::span<const Bytes> parts) {
    number_.clear();
    ByteWriter{number_}.put(at.step, at.micro);
    parts_.assign(1, Bytes{number_});
    parts_.insert(parts_.end(), parts.begin(), parts.end());
    return queue(kind, parts_);
  }
  /// Does all that can fail in queueing a numbered message of one part, even if one heartbeat comes
  /// first. Errors  as queue.
  void prepare(MessageKind kind, std::uint64_t bytes) {
    const std::uint64_t payload = number_bytes + bytes;
    check_limit(kind, payload);
    const std::size_t frames = payload / largest_frame + 1;
    // Of the part at most the beginning and the end are short enough to be copied.
    queue_.reserve((frames + 1) * frame_header_bytes + number_bytes + 2 * OutputQueue::longest_copy,
                   2 * frames + 3);
    number_.reserve(number_bytes);
    parts_.reserve(2);
  }

  bool empty() const { return queue_.empty(); }
  /// The bytes to write next; empty if there are none. They stay valid until `written`.
  Bytes front() const { return queue_.front(); }
  void written(std::size_t n) {
    queue_.written(n);
    written_ += n;
  }

  /// Bytes of the connection, frame headers included.
  std::uint64_t bytes_queued() const { return queued_; }
  std::uint64_t bytes_written() const { return written_; }

 private:
  static constexpr std::size_t number_bytes = 12;  // of a step, before the rest of the payload

  /// A position within the parts of a payload.
  struct Cursor {
    std::span<const Bytes> parts;
    std::size_t used = 0;  // of parts.front()

    void advance(std::size_t bytes, const auto& visit) {
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

  void append_frames(MessageKind kind, std::span<const Bytes> parts, std::uint64_t left) {
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
      queue_.append(header);
      at.advance(length, [&](Bytes piece) { queue_.append(piece); });
    } while (left > 0);
  }

  OutputQueue queue_;
  std::vector<std::byte> number_;  // of the message that is queued
  std::vector<Bytes> parts_;       // of the message that is queued
  std::uint64_t queued_ = 0, written_ = 0;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::wire
