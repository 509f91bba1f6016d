// SPDX-License-Identifier: MIT
#include <algorithm>
#include <vector>

#include <splitvit/core/crc32c.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using test::bytes_of;

namespace {

/// One bit after the other: the definition.
std::uint32_t bit_by_bit(std::span<const std::byte> bytes) {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const std::byte b : bytes) {
    crc ^= static_cast<std::uint32_t>(b);
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0);
  }
  return ~crc;
}

}  // namespace

TEST_CASE("crc32c: values from the standard", "[core]") {
  CHECK(crc32c(bytes_of("123456789")) == 0xE3069283u);
  CHECK(crc32c({}) == 0);
  std::vector<std::byte> block(32);  // RFC 3720, appendix B.4
  CHECK(crc32c(block) == 0x8A9136AAu);
  std::ranges::fill(block, std::byte{0xFF});
  CHECK(crc32c(block) == 0x62A8AB43u);
  for (std::size_t i = 0; i < 32; ++i) block[i] = static_cast<std::byte>(i);
  CHECK(crc32c(block) == 0x46DD794Eu);
  std::ranges::reverse(block);
  CHECK(crc32c(block) == 0x113FDB5Cu);
}

TEST_CASE("crc32c: agrees with its definition for every length and start", "[core]") {
  const auto bytes = test::random_bytes(200);
  for (std::size_t start = 0; start < 9; ++start)
    for (std::size_t length = 0; length < 80; ++length) {
      const auto part = std::span{bytes}.subspan(start, length);
      REQUIRE(crc32c(part) == bit_by_bit(part));
      REQUIRE(~detail::crc32c_by_table(part, ~std::uint32_t{0}) == bit_by_bit(part));
    }
}

TEST_CASE("crc32c: pieces give the checksum of the whole", "[core]") {
  const std::vector<std::byte> bytes = test::random_bytes(100);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut)
    REQUIRE(crc32c(std::span{bytes}.subspan(cut), crc32c(std::span{bytes}.first(cut))) ==
            crc32c(bytes));
}
