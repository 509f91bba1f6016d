// SPDX-License-Identifier: MIT
#pragma once

#include <cstring>  // memcpy

#if defined(__SSE4_2__) && defined(__x86_64__)
#include <nmmintrin.h>  // _mm_crc32_u8, _mm_crc32_u64
#endif

#include <splitvit/core/std.hpp>

namespace splitvit::inline SPLITVIT_BUILD {

namespace detail {
/// table[k][b]: what byte b does to the checksum when k more bytes follow it.
inline constexpr auto crc32c_table = [] {
  std::array<std::array<std::uint32_t, 256>, 8> table{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0x82F63B78u : 0u);
    table[0][b] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k)
    for (std::size_t b = 0; b < 256; ++b)
      table[k][b] = (table[k - 1][b] >> 8) ^ table[0][table[k - 1][b] & 0xFFu];
  return table;
}();

/// Eight bytes a step through eight tables; runs anywhere.
inline std::uint32_t crc32c_by_table(std::span<const std::byte> bytes, std::uint32_t crc) {
  const auto& t = crc32c_table;
  const auto at = [&](std::size_t i) { return static_cast<std::uint32_t>(bytes[i]); };
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    crc ^= at(0) | at(1) << 8 | at(2) << 16 | at(3) << 24;
    crc = t[7][crc & 0xFFu] ^ t[6][(crc >> 8) & 0xFFu] ^ t[5][(crc >> 16) & 0xFFu] ^
          t[4][crc >> 24] ^ t[3][at(4)] ^ t[2][at(5)] ^ t[1][at(6)] ^ t[0][at(7)];
  }
  for (const std::byte b : bytes)
    crc = (crc >> 8) ^ t[0][(crc ^ static_cast<std::uint32_t>(b)) & 0xFFu];
  return crc;
}

#if defined(__SSE4_2__) && defined(__x86_64__)
/// The processor's own instruction.
inline std::uint32_t crc32c_by_instruction(std::span<const std::byte> bytes, std::uint32_t crc) {
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    std::uint64_t eight;
    std::memcpy(&eight, bytes.data(), 8);
    crc = static_cast<std::uint32_t>(_mm_crc32_u64(crc, eight));
  }
  for (const std::byte b : bytes) crc = _mm_crc32_u8(crc, static_cast<unsigned char>(b));
  return crc;
}
#endif
}  // namespace detail

/// The CRC-32C (Castagnoli) of `bytes`; crc32c(b, crc32c(a)) is the CRC of a
/// followed by b. It finds damaged bytes, and does not protect against an attacker.
///
/// Source  RFC 3720, appendix B.4; "123456789" gives E3069283.
inline std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0) {
#if defined(__SSE4_2__) && defined(__x86_64__)
  return ~detail::crc32c_by_instruction(bytes, ~before);
#else
  return ~detail::crc32c_by_table(bytes, ~before);
#endif
}

}  // namespace splitvit::inline SPLITVIT_BUILD
