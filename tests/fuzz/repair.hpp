// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy, min
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint32_t
#include <span>       // span
#include <vector>     // vector

#include <splitvit/core/bytes.hpp>   // ByteReader, ByteWriter
#include <splitvit/core/crc32c.hpp>  // crc32c
#include <splitvit/wire/frame.hpp>   // frame_header_bytes

// repair_checksums: lets a fuzzer see what lies behind the checksums.

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

}  // namespace splitvit::test
