// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <splitvit/codec/detail/code_coder.hpp>
#include <splitvit/core/random.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::codec::detail {
namespace {

using Codes = std::vector<std::uint16_t>;

/// Codes around a place that each column has of its own.
Codes drawn_codes(const CodeLayout& of, double width, Rng& rng) {
  const double most = (1 << of.bits) - 1;
  Codes codes;
  for (Index row = 0; row < of.M; ++row)
    for (Index w = 0; w < of.W; ++w) {
      const double place = most * (0.5 + 0.4 * std::sin(static_cast<double>(w)));
      codes.push_back(static_cast<std::uint16_t>(
          std::clamp(std::nearbyint(place + width * most * rng.normal()), 0.0, most)));
    }
  return codes;
}

}  // namespace

TEST_CASE("code coder: codes of every width come back", "[codec]") {
  Rng rng{.seed = 1};
  for (int bits = 1; bits <= 16; ++bits)
    for (const auto& [M, W] : {std::pair<Index, Index>{30, 7}, {1, 5}, {9, 1}, {0, 4}}) {
      const CodeLayout layout{.M = M, .W = W, .bits = bits, .above = 2};
      const Codes start = drawn_codes(layout, 0.1, rng);
      CodeModel model = CodeModel::initial(column_means(layout, start.data()), bits);
      for (const double width : {0.01, 0.1, 1.0}) {
        Codes codes = drawn_codes(layout, width, rng), back(codes.size());
        std::vector<std::byte> bytes;
        const SymbolsSeen sent = put_code_streams(model, layout, codes.data(), bytes);
        ByteReader reader{bytes, "test"};
        const SymbolsSeen came = get_code_streams(reader, model, layout, back.data());
        reader.expect_end();
        CHECK(back == codes);
        CHECK(came.check == sent.check);
        CHECK(came.counts == sent.counts);
        model.learn(sent, M);
        CHECK(model.tables == tables_of(model.counts));
      }
    }
}

TEST_CASE("code coder: means of columns, in sixteenths", "[codec]") {
  const CodeLayout layout{.M = 2, .W = 3, .bits = 6, .above = 2};
  const Codes codes{0, 63, 4, 3, 60, 8};
  CHECK(column_means(layout, codes.data()) == std::vector<std::uint8_t>{0, 240, 24});
  const CodeModel model = CodeModel::initial(column_means(layout, codes.data()), 2);
  CHECK(model.means == std::vector<std::uint64_t>{0, 15360, 1536});
  CHECK(model.counts[5][3] > 0);
  CHECK(model.counts[5][4] == 0);  // no code of two bits
}

TEST_CASE("code coder: the size is that of the codes under the tables, which learn", "[codec]") {
  Rng rng{.seed = 2};
  const CodeLayout layout{.M = 3000, .W = 16, .bits = 4, .above = 5};
  const Codes start = drawn_codes(layout, 0.07, rng);
  CodeModel model = CodeModel::initial(column_means(layout, start.data()), 4);
  std::size_t last = 0;
  for (int message = 0; message < 5; ++message) {
    Codes codes = drawn_codes(layout, 0.07, rng);
    std::vector<std::byte> bytes;
    const SymbolsSeen seen = put_code_streams(model, layout, codes.data(), bytes);
    double ideal = 0;
    for (std::size_t c = 0; c < CodeModel::contexts; ++c)
      for (std::size_t s = 0; s < alphabet; ++s) {
        const int share = model.tables[c][s] - (s == 0 ? 0 : model.tables[c][s - 1]);
        ideal += seen.counts[c][s] * (probability_bits - std::log2(share)) / 8;
      }
    CHECK(static_cast<double>(bytes.size()) > ideal);
    CHECK(static_cast<double>(bytes.size()) < 1.01 * ideal + 8);
    last = bytes.size();
    model.learn(seen, layout.M);
  }
  CHECK(last < 48000 / 2 * 7 / 10);  // a code of 4 bits takes less than 2.8
}

TEST_CASE("code coder: hostile bytes are refused or give codes in range", "[codec]") {
  Rng rng{.seed = 3};
  const CodeModel model = CodeModel::initial(std::vector<std::uint8_t>(6, 77), 3);
  for (int round = 0; round < 300; ++round) {
    auto bytes = test::random_bytes(4 + test::at(rng.below(60)), {.seed = rng.bits()});
    for (std::size_t i = 0; i < 4; ++i)
      bytes[i] = static_cast<std::byte>(i == 0 ? bytes.size() - 4 : 0);
    const CodeLayout layout{.M = 20, .W = 6, .bits = 3, .above = 2};
    Codes codes(120);
    ByteReader reader{bytes, "test"};
    const auto reason =
        test::reason_of([&] { get_code_streams(reader, model, layout, codes.data()); });
    CHECK((!reason || *reason == Reason::malformed));
    for (const auto one : codes) REQUIRE(one < 8);
  }
}

}  // namespace splitvit::codec::detail
