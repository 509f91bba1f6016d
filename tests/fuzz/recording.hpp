// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy, min
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint8_t, uint32_t
#include <span>       // span
#include <vector>     // vector

#include <splitvit/core/bytes.hpp>   // ByteReader, ByteWriter
#include <splitvit/core/crc32c.hpp>  // crc32c
#include <splitvit/wire/frame.hpp>   // frame_header_bytes

// What a fuzzer makes up about a peer that sends frames.

namespace splitvit::test {

/// Takes the bytes as frames and makes all checksums right, so that a mutated field is looked
/// at and not only found to be damaged.
inline void repair_checksums(std::span<std::byte> bytes) {
  const auto store = [](std::span<std::byte> at, std::uint32_t value) {
    std::vector<std::byte> four;
    ByteWriter{four}.put(value);
    std::ranges::copy(four, at.begin());
  };
  while (bytes.size() >= wire::frame_header_bytes) {
    const std::size_t length = ByteReader{bytes.subspan(8, 4)}.get<std::uint32_t>();
    const auto rest = bytes.subspan(wire::frame_header_bytes);
    const auto payload = rest.first(std::min(length, rest.size()));
    store(bytes.subspan(24, 4), crc32c(payload));
    store(bytes.subspan(28, 4), crc32c(bytes.first(28)));
    bytes = rest.subspan(payload.size());
  }
}

/// A byte that chooses, then what the peer sent. Of the choice bit 0 asks for right checksums,
/// bit 3 for small pieces, and bits 4 to 7 say how small; each target reads the others in its way.
struct Recording {
  unsigned choice = 0;
  std::vector<std::byte> bytes;

  /// From an input of at least one byte.
  Recording(const std::uint8_t* data, std::size_t size) : choice{data[0]} {
    const auto sent = std::as_bytes(std::span{data, size}).subspan(1);
    bytes.assign(sent.begin(), sent.end());
    if ((choice & 1) != 0) repair_checksums(bytes);
  }

  /// How many bytes come at a time.
  std::size_t piece() const { return (choice & 8) != 0 ? 1 + choice / 16 : bytes.size() + 1; }
};

}  // namespace splitvit::test
