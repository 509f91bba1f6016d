// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstdint>
#include <vector>

#include <splitvit/codec/detail/token_coder.hpp>
#include <splitvit/core/parallel.hpp>
#include <splitvit/core/random.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::codec::detail {
namespace {

using Numbers = std::vector<std::int32_t>;

/// Laplace-like numbers whose size falls from component to component, and differs between tokens.
Numbers drawn_numbers(const TokenLayout& of, double first, Rng& rng) {
  Numbers numbers;
  for (Index row = 0; row < of.B * of.N; ++row) {
    const double token = -std::log(1 - rng.uniform());
    for (Index j = 0; j < of.R; ++j) {
      const double size =
          first * token * std::exp(-4.0 * static_cast<double>(j) / static_cast<double>(of.R));
      const double value = -size * std::log(1 - rng.uniform());
      numbers.push_back(static_cast<std::int32_t>(rng.below(2) == 0 ? value : -value));
    }
  }
  return numbers;
}

TokenModel fresh(Index R, std::uint64_t size = 512) {
  TokenModel model = TokenModel::initial();
  model.sizes.assign(test::at(2 * R), size);
  return model;
}

/// What the symbols are worth in bits by the tables of `model`, without plain bits.
double ideal_bits(const TokenModel& model, const SymbolsSeen& seen) {
  double bits = 0;
  for (std::size_t c = 0; c < model.counts.size(); ++c) {
    const SymbolTable table = table_of(model.counts[c]);
    for (std::size_t s = 0; s < alphabet; ++s)
      bits += seen.counts[c][s] *
              (probability_bits - std::log2(table[s] - (s == 0 ? 0 : table[s - 1])));
  }
  return bits;
}

void check_trip(const Shape& shape, Index R, Numbers numbers, const TokenModel& model) {
  const TokenLayout layout{shape, R};
  std::vector<std::byte> bytes;
  const SymbolsSeen sent = put_tokens(model, layout, numbers.data(), bytes);
  Numbers back(numbers.size());
  ByteReader reader{bytes, "test"};
  const SymbolsSeen came = get_tokens(reader, model, layout, back.data());
  reader.expect_end();
  CHECK(back == numbers);
  CHECK(came.check == sent.check);
  CHECK(came.counts == sent.counts);
  CHECK(came.sums == sent.sums);
}

}  // namespace

TEST_CASE("token coder: numbers of every size come back", "[codec]") {
  Rng rng{.seed = 1};
  for (const Shape& shape :
       {Shape{3, 5, 9}, Shape{1, 1, 1}, Shape{7, 3}, Shape{4}, Shape{2, 17, 200}})
    for (const Index R : {shape.back(), Index{1}}) {
      const TokenLayout layout{shape, R};
      for (const double size : {0.0, 0.3, 3.0, 40.0, 1e5})
        for (const std::uint64_t expected : {0u, 300u, 5000u, 100'000'000u})
          check_trip(shape, R, drawn_numbers(layout, size, rng), fresh(R, expected));
      Numbers extremes(test::at(shape.rows() * R));
      for (auto& number : extremes) number = rng.below(2) == 0 ? largest_number : -largest_number;
      check_trip(shape, R, extremes, fresh(R));
      check_trip(shape, R, extremes, fresh(R, ~std::uint64_t{0}));
    }
}

TEST_CASE("token coder: the size is that of the symbols under the tables", "[codec]") {
  Rng rng{.seed = 2};
  const TokenLayout layout{{24, 50, 64}, 64};
  TokenModel model = fresh(64);
  double first = 0, last = 0;
  for (int message = 0; message < 6; ++message) {
    Numbers numbers = drawn_numbers(layout, 2, rng);
    std::vector<std::byte> bytes;
    const SymbolsSeen seen = put_tokens(model, layout, numbers.data(), bytes);
    double plain = 0;  // signs, and what is beyond tables
    for (const auto number : numbers) plain += number != 0;
    double escapes = 0;
    for (std::size_t c = 0; c < TokenContexts::magnitudes; ++c) escapes += seen.counts[c][15];
    const double ideal = (ideal_bits(model, seen) + plain) / 8;
    const auto size = static_cast<double>(bytes.size());
    CHECK(size > ideal);
    CHECK(size < 1.01 * (ideal + 2 * escapes) + 6.0 * static_cast<double>(layout.streams));
    (message == 0 ? first : last) = size;
    model.learn(seen, 24, 24 * 49);
  }
  CHECK(last < 0.95 * first);
}

TEST_CASE("token coder: the same bytes for any number of threads", "[codec]") {
  Rng rng{.seed = 3};
  const TokenLayout layout{{20, 120, 48}, 48};
  CHECK(layout.streams > 1);
  Numbers numbers = drawn_numbers(layout, 2, rng);
  const auto bytes = [&](int threads) {
    std::vector<std::byte> out;
    with_threads(threads, [&] { put_tokens(fresh(48), layout, numbers.data(), out); });
    return out;
  };
  const auto one = bytes(1);
  for (int threads = 2; threads <= 8; ++threads) CHECK(bytes(threads) == one);
}

TEST_CASE("token coder: another model notices that it reads other symbols", "[codec]") {
  Rng rng{.seed = 4};
  const TokenLayout layout{{2, 5, 8}, 8};
  Numbers numbers = drawn_numbers(layout, 2, rng);
  std::vector<std::byte> bytes;
  const SymbolsSeen sent = put_tokens(fresh(8), layout, numbers.data(), bytes);
  TokenModel other = fresh(8);
  other.counts[TokenContexts::upper + alphabet][3] += 5;
  other.tables = tables_of(other.counts);
  Numbers back(numbers.size());
  ByteReader reader{bytes, "test"};
  std::uint64_t check = sent.check;
  const auto reason =
      test::reason_of([&] { check = get_tokens(reader, other, layout, back.data()).check; });
  CHECK((reason == Reason::malformed || check != sent.check));
}

TEST_CASE("token coder: hostile bytes are refused or give numbers in range", "[codec]") {
  Rng rng{.seed = 5};
  const TokenLayout layout{{2, 5, 70}, 70};
  for (int round = 0; round < 400; ++round) {
    auto bytes = test::random_bytes(4 + test::at(rng.below(300)), {.seed = rng.bits()});
    const auto size = static_cast<std::uint32_t>(bytes.size() - 4);
    for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::byte>(size >> (8 * i) & 0xFF);
    Numbers numbers(test::at(layout.B * layout.N * layout.R));
    ByteReader reader{bytes, "test"};
    const auto reason = test::reason_of([&] {
      get_tokens(reader, fresh(70, round % 2 == 0 ? 400 : 1u << 30), layout, numbers.data());
    });
    CHECK((!reason || *reason == Reason::malformed));
    for (const auto number : numbers) REQUIRE(std::abs(number) <= largest_number);
  }
  ByteReader shorter{std::span<const std::byte>{}, "test"};
  Numbers numbers(test::at(layout.B * layout.N * layout.R));
  CHECK(test::reason_of([&] { get_tokens(shorter, fresh(70), layout, numbers.data()); }) ==
        Reason::truncated);
}

TEST_CASE("token coder: how samples are divided", "[codec]") {
  CHECK(TokenLayout({128, 197, 192}, 192).above == 14);
  CHECK(TokenLayout({128, 197, 192}, 192).streams == 16);
  CHECK(TokenLayout({128, 197, 192}, 0).streams == 0);
  CHECK(TokenLayout({3, 99, 4}, 4).above == 2);
  CHECK(TokenLayout({3, 2, 4}, 4).above == 2);
  const TokenLayout rows{{6, 4}, 4};
  CHECK((rows.B == 1 && rows.N == 6 && rows.streams == 1));
  CHECK(TokenLayout({5}, 5).N == 1);
}

}  // namespace splitvit::codec::detail
