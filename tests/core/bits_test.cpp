// SPDX-License-Identifier: MIT
#include <cstdint>
#include <limits>
#include <vector>

#include <splitvit/core/bits.hpp>
#include <splitvit/core/random.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

namespace splitvit {
namespace {

using test::bytes_of;
using test::reason_of;
using Bytes = std::vector<std::byte>;

Bytes packed(const std::vector<std::uint16_t>& values, int bits) {
  Bytes out;
  BitWriter writer{out};
  writer.put_all<std::uint16_t>(values, bits);
  writer.finish();
  return out;
}

}  // namespace

TEST_CASE("packed bits: worked by hand", "[core]") {
  CHECK(packed({1, 2, 3}, 2) == bytes_of({0b111001}));
  CHECK(packed({5, 1, 7}, 3) == bytes_of({0b11'001'101, 0b1}));
  CHECK(packed({0xABC, 0x123}, 12) == bytes_of({0xBC, 0x3A, 0x12}));
  CHECK(packed({0x1234}, 16) == bytes_of({0x34, 0x12}));
  CHECK(packed({}, 5).empty());
  Bytes out;
  BitWriter writer{out};
  writer.put(0xDEADBEEF, 32);
  writer.put(0, 0);
  writer.put_unary(2);  // 1 1 0
  writer.put(1, 1);
  writer.finish();
  CHECK(out == bytes_of({0xEF, 0xBE, 0xAD, 0xDE, 0b1011}));
}

TEST_CASE("packed bits: how many", "[core]") {
  CHECK(bits_for(1) == 0);
  CHECK(bits_for(2) == 1);
  CHECK(bits_for(3) == 2);
  CHECK(bits_for(256) == 8);
  CHECK(bits_for(257) == 9);
  CHECK(packed_bytes(0, 7) == 0);
  CHECK(packed_bytes(8, 7) == 7);
  CHECK(packed_bytes(9, 7) == 8);
}

TEST_CASE("packed bits: long rows are the same bits, wherever they begin", "[core]") {
  Rng rng{.seed = 2};
  for (const int bits : {1, 5, 6, 16})
    for (const int first_bits : {0, 3, 8, 16}) {
      CAPTURE(bits, first_bits);
      std::vector<std::uint16_t> values(50'003);
      for (auto& value : values) value = static_cast<std::uint16_t>(rng.below(Index{1} << bits));
      Bytes together, apart;
      BitWriter writer{together}, plain{apart};
      for (BitWriter* const each : {&writer, &plain}) each->put(0, first_bits);
      writer.put_all<std::uint16_t>(values, bits);
      for (const auto value : values) plain.put(value, bits);
      for (BitWriter* const each : {&writer, &plain}) {
        each->put(1, 2);
        each->finish();
      }
      CHECK(together == apart);
      ByteReader bytes{together};
      BitReader reader{bytes};
      reader.get(first_bits);
      std::vector<std::uint16_t> came(values.size());
      reader.get_all(std::span{came}, bits);
      CHECK(came == values);
      CHECK(reader.get(2) == 1);
      reader.finish();
      bytes.expect_end();
    }
}

TEST_CASE("packed bits: any numbers come back, one by one and many at once", "[core]") {
  Rng rng{.seed = 1};
  for (int run = 0; run < 400; ++run) {
    const int bits = 1 + static_cast<int>(rng.below(16)),
              first_bits = static_cast<int>(rng.below(33));
    const auto first =
        static_cast<std::uint32_t>(rng.bits() & ((std::uint64_t{1} << first_bits) - 1));
    const Index ones = rng.below(run % 20 == 0 ? 200 : 9);
    std::vector<std::uint16_t> values(static_cast<std::size_t>(rng.below(70)));
    for (auto& value : values) value = static_cast<std::uint16_t>(rng.below(Index{1} << bits));
    Bytes out(3);
    BitWriter writer{out};
    writer.put(first, first_bits);
    writer.put_all<std::uint16_t>(values, bits);
    writer.put_unary(ones);
    for (const auto value : values) writer.put(value, bits);
    writer.finish();
    const std::size_t section = out.size() - 3;
    CHECK(section == (static_cast<std::size_t>(first_bits + ones + 1) +
                      2 * values.size() * static_cast<std::size_t>(bits) + 7) /
                         8);
    writer.put(5, 3);  // the next section
    writer.finish();

    ByteReader bytes{out};
    bytes.get_bytes(3);
    BitReader reader{bytes};
    CHECK(reader.get(first_bits) == first);
    std::vector<std::uint16_t> again(values.size());
    reader.get_all<std::uint16_t>(again, bits);
    CHECK(again == values);
    CHECK(reader.get_unary(ones) == ones);
    for (const auto value : values) REQUIRE(reader.get(bits) == value);
    reader.finish();
    CHECK(bytes.left() == 1);
    CHECK(reader.get(3) == 5);
    reader.finish();
    bytes.expect_end();
  }
}

TEST_CASE("packed bits: hostile bytes are refused", "[core]") {
  const auto read = [](const Bytes& in, const auto& work) {
    return reason_of<WireError>([&] {
      ByteReader bytes{in};
      BitReader reader{bytes};
      work(reader);
      reader.finish();
    });
  };
  std::vector<std::uint16_t> three(3);
  const auto take_three = [&](BitReader& reader) { reader.get_all<std::uint16_t>(three, 3); };
  CHECK(read(bytes_of({0xFF, 0x01}), take_three) == std::nullopt);
  CHECK(read(bytes_of({0xFF, 0x03}), take_three) == Reason::malformed);
  CHECK(read(bytes_of({0xFF, 0x81}), take_three) == Reason::malformed);
  CHECK(read(bytes_of({0xFF}), take_three) == Reason::truncated);
  CHECK(read({}, take_three) == Reason::truncated);
  CHECK(read({}, [](BitReader& reader) { reader.get(1); }) == Reason::truncated);
  CHECK(read({}, [](BitReader& reader) { reader.get(0); }) == std::nullopt);
  CHECK(read(bytes_of({1, 2, 3}), [](BitReader& reader) { reader.get(32); }) == Reason::truncated);
  CHECK(read(Bytes(1), [](BitReader& reader) {
          reader.require(std::numeric_limits<Index>::max(), 16);
        }) == Reason::truncated);
  CHECK(read(bytes_of({0x07}), [](BitReader& reader) { reader.get_unary(3); }) == std::nullopt);
  CHECK(read(bytes_of({0x0F}), [](BitReader& reader) { reader.get_unary(3); }) ==
        Reason::malformed);
  CHECK(read(bytes_of({0xFF}), [](BitReader& reader) { reader.get_unary(100); }) ==
        Reason::truncated);
}

}  // namespace splitvit
