// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>  // byte, size_t
#include <cstdint>  // uint8_t, uint16_t, uint32_t, uint64_t
#include <span>     // span
#include <string>   // to_string
#include <vector>   // vector

#include <splitvit/core/bytes.hpp>   // ByteReader, ByteWriter
#include <splitvit/core/crc32c.hpp>  // crc32c
#include <splitvit/core/error.hpp>   // Reason, WireError

// A frame: 32 bytes of header, then at most 1 MiB of payload. A message is one frame or more. This
// layout never changes, so that any two versions can refuse each other.

namespace splitvit::wire {

/// What a message is for. The numbers are part of the format.
enum class MessageKind : std::uint8_t {
  hello = 1,          ///< client: versions and settings
  welcome = 2,        ///< server: the session begins
  refuse = 3,         ///< server: the settings differ
  forward = 4,        ///< client: step, activations, labels
  backward = 5,       ///< server: step, gradient, loss
  evaluate = 6,       ///< client: activations, labels; no gradient wanted
  evaluated = 7,      ///< server: sum of losses, number of correct predictions
  fetch_weights = 8,  ///< client: asks for the server part
  weights = 9,        ///< server: its part; client: an initial decoder
  bye = 10,           ///< either: no more messages will follow
  error = 11,         ///< either: why the sender gives up
  heartbeat = 12,     ///< either: the sender is alive; empty, and may come between two frames
};
inline constexpr std::size_t message_kinds = 13;  ///< one more than the largest number

constexpr const char* name(MessageKind kind) {
  constexpr const char* names[message_kinds] = {
      "none",      "hello",         "welcome", "refuse", "forward", "backward", "evaluate",
      "evaluated", "fetch_weights", "weights", "bye",    "error",   "heartbeat"};
  const auto i = static_cast<std::size_t>(kind);
  return i < message_kinds ? names[i] : "unknown";
}

inline constexpr std::uint32_t frame_magic = 0x54565053;  ///< "SPVT"
inline constexpr std::uint8_t frame_version = 1;
inline constexpr std::size_t frame_header_bytes = 32;
inline constexpr std::size_t largest_frame = std::size_t{1} << 20;  ///< payload of one frame

/// The header without its constant parts.
///
///   offset  size  field
///   0       4     magic
///   4       1     frame version
///   5       1     message kind
///   6       2     flags; bit 0: the message continues in the next frame; others are 0
///   8       4     payload length of this frame
///   12      4     connection number within the session, from 1; 0 before admission
///   16      8     sequence number of this frame in this direction, from 0 at each connection
///   24      4     CRC-32C of the payload
///   28      4     CRC-32C of bytes 0 to 27
///
/// All little-endian.
struct FrameHeader {
  MessageKind kind = MessageKind::bye;
  bool continues = false;
  std::uint32_t length = 0;
  std::uint32_t connection = 0;
  std::uint64_t sequence = 0;
  std::uint32_t payload_crc = 0;
};

/// Appends the 32 bytes of a header.
inline void put_header(std::vector<std::byte>& out, const FrameHeader& header) {
  const std::size_t at = out.size();
  ByteWriter writer{out};
  writer.put(frame_magic);
  writer.put(frame_version);
  writer.put(static_cast<std::uint8_t>(header.kind));
  writer.put(static_cast<std::uint16_t>(header.continues ? 1 : 0));
  writer.put(header.length);
  writer.put(header.connection);
  writer.put(header.sequence);
  writer.put(header.payload_crc);
  writer.put(crc32c(std::span<const std::byte>{out}.subspan(at)));
}

/// Reads a header. It compares the checksum before it uses the length.
///
/// Errors  WireError: bad_magic, bad_checksum, bad_version, bad_flags, bad_kind, or too_long
///         for a length above largest_frame.
inline FrameHeader read_header(std::span<const std::byte, frame_header_bytes> bytes) {
  ByteReader reader{bytes, "frame header"};
  const auto magic = reader.get<std::uint32_t>();
  const auto version = reader.get<std::uint8_t>();
  const auto kind = reader.get<std::uint8_t>();
  const auto flags = reader.get<std::uint16_t>();
  FrameHeader header;
  header.length = reader.get<std::uint32_t>();
  header.connection = reader.get<std::uint32_t>();
  header.sequence = reader.get<std::uint64_t>();
  header.payload_crc = reader.get<std::uint32_t>();
  const bool intact = reader.get<std::uint32_t>() == crc32c(bytes.first<28>());

  if (magic != frame_magic)
    throw WireError(Reason::bad_magic, "frame header: these bytes are not from splitvit");
  if (!intact) throw WireError(Reason::bad_checksum, "frame header: damaged on the way");
  if (version != frame_version)
    throw WireError(Reason::bad_version, "frame header: the peer uses frame version " +
                                             std::to_string(version) + ", this side " +
                                             std::to_string(frame_version));
  if (flags > 1)
    throw WireError(Reason::bad_flags,
                    "frame header: flags " + std::to_string(flags) + ", only bit 0 is known");
  if (kind == 0 || kind >= message_kinds)
    throw WireError(Reason::bad_kind,
                    "frame header: message kind " + std::to_string(kind) + " does not exist");
  if (header.length > largest_frame)
    throw WireError(Reason::too_long, "frame header: a frame of " + std::to_string(header.length) +
                                          " bytes, at most " + std::to_string(largest_frame) +
                                          " are allowed");
  header.kind = static_cast<MessageKind>(kind);
  header.continues = flags == 1;
  return header;
}

}  // namespace splitvit::wire
