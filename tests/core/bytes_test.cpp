// SPDX-License-Identifier: MIT
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <splitvit/core/bytes.hpp>

#include "support/catch.hpp"

using splitvit::ByteReader;
using splitvit::ByteWriter;
using splitvit::number_at;
using splitvit::Reason;
using splitvit::WireError;

namespace {

template <class Work>
Reason reason_of(Work&& work) {
  try {
    work();
  } catch (const WireError& error) {
    return error.reason();
  }
  FAIL("no WireError");
  return Reason::refused;
}

}  // namespace

TEST_CASE("bytes: little-endian on the outside", "[core]") {
  std::vector<std::byte> out;
  ByteWriter writer{out};
  writer.put(std::uint32_t{0x01020304});
  writer.put(1.0f);
  const std::vector<std::byte> wanted{std::byte{4}, std::byte{3}, std::byte{2},    std::byte{1},
                                      std::byte{0}, std::byte{0}, std::byte{0x80}, std::byte{0x3f}};
  CHECK(out == wanted);
}

TEST_CASE("bytes: what is written is read again", "[core]") {
  std::vector<std::byte> out;
  ByteWriter writer{out};
  const std::array<float, 3> numbers{1.5f, -0.0f, std::numeric_limits<float>::infinity()};
  writer.put(std::int64_t{-5});
  writer.put(std::uint8_t{200});
  writer.put_array(std::span<const float>{numbers});
  writer.put_text("a text");
  writer.put_text("");
  writer.put_array(std::span<const float>{});

  ByteReader reader{out};
  CHECK(reader.get<std::int64_t>() == -5);
  CHECK(reader.get<std::uint8_t>() == 200);
  std::array<float, 3> back{};
  reader.get_array(std::span<float>{back});
  CHECK(back == numbers);
  CHECK(reader.get_text(6) == "a text");
  CHECK(reader.get_text(0).empty());
  CHECK(reader.left() == 0);
  CHECK_NOTHROW(reader.expect_end());
}

TEST_CASE("bytes: a number of any width, in either order", "[core]") {
  const auto bytes = std::as_bytes(std::span{"\x01\x02\xFE\x04\x05\x06\x07\x08\x09"});
  CHECK(number_at(bytes, 1, 1, std::endian::big) == 0x02);
  CHECK(number_at(bytes, 1, 2, std::endian::big) == 0x02FE);
  CHECK(number_at(bytes, 1, 2, std::endian::little) == 0xFE02);
  CHECK(number_at(bytes, 1, 8, std::endian::big) == 0x02FE040506070809);
  CHECK(number_at(bytes, 0, 8, std::endian::little) == 0x0807060504FE0201);
  CHECK(number_at(bytes, 3, 0, std::endian::little) == 0);
}

TEST_CASE("bytes: hostile bytes give a WireError and no more", "[core]") {
  std::vector<std::byte> out;
  ByteWriter{out}.put_text("hello");
  for (std::size_t size = 0; size < out.size(); ++size) {
    ByteReader cut{std::span{out}.first(size), "greeting"};
    CHECK(reason_of([&] { cut.get_text(5); }) == Reason::truncated);
  }
  CHECK(reason_of([&] { ByteReader{out}.get_text(4); }) == Reason::too_long);
  CHECK(reason_of([&] { ByteReader{out}.expect_end(); }) == Reason::malformed);
  CHECK(reason_of([&] { ByteReader{out}.get_bytes(std::numeric_limits<std::size_t>::max()); }) ==
        Reason::truncated);
  CHECK_THROWS_WITH((ByteReader{{}, "greeting"}.get<double>()), ContainsSubstring("greeting"));
}
