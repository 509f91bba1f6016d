// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstdint>
#include <vector>

#include <splitvit/codec/detail/range_coder.hpp>
#include <splitvit/core/random.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::codec::detail {
namespace {

/// A table whose first shares are given; the last symbol has the rest, the others 1 each.
SymbolTable table_with(const std::vector<int>& shares) {
  SymbolTable table;
  int end = 0;
  for (std::size_t s = 0; s < alphabet; ++s)
    table[s] = static_cast<std::uint16_t>(end += s < shares.size() ? shares[s] : 1);
  table[alphabet - 1] = 1u << probability_bits;
  return table;
}

double bits_of(const SymbolTable& table, unsigned s) {
  const int share = table[s] - (s == 0 ? 0 : table[s - 1]);
  return probability_bits - std::log2(share);
}

/// Symbols drawn by the table, mixed with plain bits.
struct Message {
  SymbolTable table;
  std::vector<unsigned> symbols;
  std::vector<std::uint32_t> plain;
  double ideal = 0;  // bits
  std::vector<std::byte> bytes{std::byte{7}};

  Message(const SymbolTable& table_, Index count, int width, Rng& rng) : table{table_} {
    RangeEncoder coder{bytes};
    for (Index i = 0; i < count; ++i) {
      unsigned s = 0;
      for (const auto place = rng.below(1 << probability_bits); place >= table[s];) ++s;
      symbols.push_back(s);
      plain.push_back(static_cast<std::uint32_t>(rng.below(Index{1} << width)));
      ideal += bits_of(table, s) + width;
      CHECK(coder.symbol(table, s) == s);
      CHECK(coder.bits(width, plain.back()) == plain.back());
    }
    coder.finish();
  }
};

}  // namespace

TEST_CASE("range coder: symbols come back, in as few bits as they are worth", "[codec]") {
  Rng rng{.seed = 1};
  for (const auto& table :
       {table_with({32753}), table_with({1, 32000}), table_with(std::vector<int>(16, 2048)),
        table_with({20000, 8000, 3000, 1000})})
    for (const int width : {0, 1, 5, 24}) {
      const Message sent{table, 3000, width, rng};
      CHECK(sent.bytes[0] == std::byte{7});  // what was there stays
      const auto size = static_cast<double>(sent.bytes.size() - 1);
      CHECK(size <= sent.ideal / 8 * 1.0001 + 3);
      CHECK(size >= sent.ideal / 8 * 0.9999 - 3);
      RangeDecoder coder{std::span{sent.bytes}.subspan(1)};
      bool equal = true;
      for (std::size_t i = 0; i < sent.symbols.size(); ++i) {
        equal = equal && coder.symbol(table) == sent.symbols[i];
        equal = equal && coder.bits(width) == sent.plain[i];
      }
      CHECK(equal);
      CHECK(coder.at_end());
    }
}

TEST_CASE("range coder: the end needs no more bytes than it must", "[codec]") {
  const auto table = table_with({32753});
  std::vector<std::byte> bytes;
  {
    RangeEncoder coder{bytes};
    for (int i = 0; i < 100; ++i) coder.symbol(table, 0);
    coder.finish();
  }
  CHECK(bytes.empty());  // the lowest number of the interval is 0
  RangeEncoder coder{bytes};
  coder.symbol(table, alphabet - 1);
  coder.finish();
  CHECK(bytes.size() == 2);
}

TEST_CASE("range coder: a carry runs through bytes that were written", "[codec]") {
  // The last of 2^24 shares again and again: the low end is all ones, until the sum overflows.
  std::vector<std::byte> bytes;
  RangeEncoder coder{bytes};
  constexpr std::uint32_t last = (1u << 24) - 1;
  for (int i = 0; i < 40; ++i) coder.bits(24, last);
  coder.finish();
  RangeDecoder reader{bytes};
  for (int i = 0; i < 40; ++i) CHECK(reader.bits(24) == last);
  // Drawn ends, short and long.
  Rng rng{.seed = 2};
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::byte> some;
    std::vector<std::uint32_t> values;
    RangeEncoder writer{some};
    for (Index n = rng.below(12); n >= 0; --n) {
      values.push_back(rng.below(3) == 0 ? last : static_cast<std::uint32_t>(rng.below(1 << 24)));
      writer.bits(24, values.back());
    }
    writer.finish();
    CHECK(some.size() <= 3 * values.size() + 1);
    RangeDecoder back{some};
    for (const std::uint32_t value : values) REQUIRE(back.bits(24) == value);
    REQUIRE(back.at_end());
  }
}

TEST_CASE("range coder: any bytes give symbols", "[codec]") {
  const auto table = table_with({1, 30000});
  for (const std::byte fill : {std::byte{0}, std::byte{0xFF}}) {
    const std::vector<std::byte> bytes(50, fill);
    RangeDecoder coder{bytes};
    for (int i = 0; i < 10000; ++i) {
      REQUIRE(coder.symbol(table) < alphabet);
      REQUIRE(coder.bits(3) < 8);
    }
  }
  const auto drawn = test::random_bytes(1000);
  RangeDecoder coder{drawn};
  for (int i = 0; i < 20000; ++i) REQUIRE(coder.symbol(table) < alphabet);
}

TEST_CASE("range coder: the bytes of this version", "[codec]") {
  std::vector<std::byte> bytes;
  RangeEncoder coder{bytes};
  const auto table = table_with({20000, 8000, 3000, 1000});
  for (const unsigned s : {0u, 1u, 2u, 3u, 15u, 0u, 0u}) {
    coder.symbol(table, s);
    coder.bits(7, 100);
  }
  coder.finish();
  CHECK(bytes == test::bytes_of({123, 12, 228, 81, 172, 121, 150, 62, 108}));
}

}  // namespace splitvit::codec::detail
