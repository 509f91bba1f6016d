// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min

#include <splitvit/core/bytes.hpp>   // ByteReader, ByteWriter
#include <splitvit/core/crc32c.hpp>  // crc32c
#include <splitvit/core/error.hpp>   // Reason, WireError

// A frame: 32 bytes of header, then at most 1 MiB of payload. A message is one frame or more. This
// layout never changes, so that any two versions can refuse each other.

namespace splitvit::inline SPLITVIT_BUILD::wire {

using Bytes = std::span<const std::byte>;

/// The largest message before the peer is admitted, and the most that can be agreed later.
inline constexpr std::uint64_t unadmitted_limit = std::uint64_t{4} << 10;
inline constexpr std::uint64_t message_ceiling = std::uint64_t{256} << 20;

/// What a message is for. The numbers are part of the format.
enum class MessageKind : std::uint8_t {
  hello = 1,          ///< client: versions and settings
  welcome = 2,        ///< server: the session begins
  refuse = 3,         ///< server: the settings differ
  forward = 4,        ///< client: step, activations, labels
  backward = 5,       ///< server: step, gradient, loss
  evaluate = 6,       ///< client: activations, labels or none; no gradient wanted
  evaluated = 7,      ///< server: sum of losses, number of correct predictions, or class scores
  fetch_weights = 8,  ///< client: asks for the server part
  weights = 9,        ///< server: its part; client: an initial decoder
  bye = 10,           ///< either: no more messages will follow
  error = 11,         ///< either: why the sender gives up
  heartbeat = 12,     ///< either: the sender is alive; empty, and may come between two frames
  checkpoint = 13,    ///< client: it holds a checkpoint of a step; server: whether it does, too
  turn = 14,          ///< client: it is ready for its next turn; server: it has come; both with
                      ///< weights or without, see split/turn.hpp
};
inline constexpr std::size_t message_kinds = 15;  ///< one more than the largest number

constexpr const char* name(MessageKind kind) {
  constexpr const char* names[message_kinds] = {
      "none",     "hello",    "welcome",   "refuse",        "forward",
      "backward", "evaluate", "evaluated", "fetch_weights", "weights",
      "bye",      "error",    "heartbeat", "checkpoint",    "turn"};
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
  ByteWriter{out}.put(frame_magic, frame_version, static_cast<std::uint8_t>(header.kind),
                      static_cast<std::uint16_t>(header.continues ? 1 : 0), header.length,
                      header.connection, header.sequence, header.payload_crc);
  ByteWriter{out}.put(crc32c(std::span<const std::byte>{out}.subspan(at)));
}

/// The first bytes of a header, as far as they have come, must be those of every frame.
///
/// Errors  WireError (bad_magic), also for the handshake or an alert of TLS.
inline void require_magic(std::span<const std::byte> begin) {
  std::uint32_t came = frame_magic;
  for (std::size_t i = 0; i < std::min<std::size_t>(begin.size(), 4); ++i)
    came = (came & ~(0xFFu << 8 * i)) | std::to_integer<std::uint32_t>(begin[i]) << 8 * i;
  if (came == frame_magic) return;
  const bool is_tls = (came & 0xFE) == 20 || (came & 0xFE) == 22;
  throw WireError(Reason::bad_magic,
                  is_tls ? "frame header: these bytes are TLS, which this side does not use"
                         : "frame header: these bytes are not from splitvit");
}

/// Reads a header. Compares the checksum before it uses the length.
///
/// Errors  WireError: bad_magic, bad_checksum, bad_version, bad_flags, bad_kind, or too_long
///         for a length above largest_frame.
inline FrameHeader read_header(std::span<const std::byte, frame_header_bytes> bytes) {
  ByteReader reader{bytes, "frame header"};
  FrameHeader header;
  std::uint32_t magic = 0, crc = 0;
  std::uint16_t flags = 0;
  std::uint8_t version = 0, kind = 0;
  reader.get_to(magic, version, kind, flags, header.length, header.connection, header.sequence,
                header.payload_crc, crc);
  require_magic(bytes);
  if (crc != crc32c(bytes.first<28>())) reader.refuse(Reason::bad_checksum, {"damaged on the way"});
  if (version != frame_version)
    reader.refuse(Reason::bad_version,
                  {"version ", version, " came, this side has ", frame_version});
  if (flags > 1) reader.refuse(Reason::bad_flags, {"flags ", flags, ", only bit 0 is known"});
  if (kind == 0 || kind >= message_kinds)
    reader.refuse(Reason::bad_kind, {"message kind ", kind, " does not exist"});
  if (header.length > largest_frame)
    reader.refuse(Reason::too_long,
                  {header.length, " bytes, at most ", largest_frame, " can come"});
  header.kind = static_cast<MessageKind>(kind);
  header.continues = flags == 1;
  return header;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::wire
