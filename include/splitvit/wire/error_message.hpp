// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>  // byte, size_t
#include <cstdint>  // uint8_t
#include <span>     // span
#include <string>   // string, to_string
#include <vector>   // vector

#include <splitvit/core/bytes.hpp>             // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>             // Reason, WireError
#include <splitvit/wire/detail/printable.hpp>  // printable

// The error message: why the sender gives up, as a reason (u8) and a text.

namespace splitvit::wire {

inline constexpr std::size_t longest_error_text = 1024;

/// The payload of an error message. A longer text is cut after 1024 characters.
inline std::vector<std::byte> error_payload(Reason reason, const std::string& text) {
  std::vector<std::byte> payload;
  ByteWriter out{payload};
  out.put(static_cast<std::uint8_t>(reason));
  out.put_text(text.substr(0, longest_error_text));
  return payload;
}

/// Throws what the peer reported.
///
/// Errors  WireError: peer_failed with the peer's text; malformed, truncated or too_long for an
///         invalid payload.
[[noreturn]] inline void throw_peer_error(std::span<const std::byte> payload) {
  ByteReader in{payload, "error message"};
  const auto reason = in.get<std::uint8_t>();
  const std::string text = in.get_text(longest_error_text);
  in.expect_end();
  throw WireError(Reason::peer_failed, "the peer gave up: " + detail::printable(text) +
                                           " (reason " + std::to_string(reason) + ")");
}

}  // namespace splitvit::wire
