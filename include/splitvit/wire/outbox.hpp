// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>  // byte, size_t
#include <cstdint>  // uint32_t, uint64_t
#include <span>     // span
#include <vector>   // vector

#include <splitvit/core/bytes.hpp>         // ByteWriter
#include <splitvit/wire/frame.hpp>         // MessageKind
#include <splitvit/wire/message.hpp>       // MessageWriter
#include <splitvit/wire/output_queue.hpp>  // Bytes, OutputQueue
#include <splitvit/wire/reply_cache.hpp>   // StepNumber
#include <splitvit/wire/tally.hpp>         // Count

// Outbox: the messages of one connection that wait to be written.

namespace splitvit::wire {

/// Queues messages as frames and knows how many bytes of the connection are queued and written.
/// Long parts are borrowed until they are written: see OutputQueue.
class Outbox {
 public:
  /// Later messages carry the connection's number and have at most `largest_message` bytes.
  void begin(std::uint32_t connection, std::uint64_t largest_message) {
    writer_.begin(connection, largest_message);
  }

  /// Queues a message whose payload is all `parts` in order.
  ///
  /// Errors  WireError (too_long) above the limit. After any error nothing is queued.
  Count queue(MessageKind kind, std::span<const Bytes> parts) {
    std::uint64_t payload = 0;
    for (const Bytes part : parts) payload += part.size();
    const std::uint64_t framed = writer_.write(kind, parts, queue_);
    queued_ += framed;
    return {.messages = 1, .payload = payload, .framed = framed};
  }
  /// As above; the payload begins with the number of a step: u64 step, u32 part.
  Count queue(MessageKind kind, StepNumber at, std::span<const Bytes> parts) {
    number_.clear();
    ByteWriter out{number_};
    out.put(at.step);
    out.put(at.micro);
    parts_.assign(1, Bytes{number_});
    parts_.insert(parts_.end(), parts.begin(), parts.end());
    return queue(kind, parts_);
  }
  /// Does everything that can fail in queueing a numbered message of one part with `bytes` bytes.
  ///
  /// Errors  WireError (too_long) as queue.
  void prepare(MessageKind kind, std::uint64_t bytes) {
    writer_.prepare(kind, number_bytes, bytes, queue_);
    number_.reserve(number_bytes);
    parts_.reserve(2);
  }

  bool empty() const { return queue_.empty(); }
  /// The bytes to write next; empty if there are none. They stay valid until `written`.
  Bytes front() const { return queue_.front(); }
  /// The first n bytes of front() have been written.
  void written(std::size_t n) {
    queue_.written(n);
    written_ += n;
  }

  /// Bytes of the connection, frame headers included.
  std::uint64_t bytes_queued() const { return queued_; }
  std::uint64_t bytes_written() const { return written_; }

 private:
  static constexpr std::size_t number_bytes = 12;  // of a step, before the rest of the payload

  MessageWriter writer_;
  OutputQueue queue_;
  std::vector<std::byte> number_;  // of the message that is queued
  std::vector<Bytes> parts_;       // of the message that is queued
  std::uint64_t queued_ = 0, written_ = 0;
};

}  // namespace splitvit::wire
