// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include <splitvit/codec/detail/index_set.hpp>
#include <splitvit/core/random.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

namespace splitvit::codec::detail {
namespace {

using test::bytes_of;
using test::reason_of;
using Bytes = std::vector<std::byte>;
using Indices = std::vector<std::uint32_t>;

Bytes written(const Indices& indices, Index count, Index n) {
  Bytes out;
  put_index_sets(indices, count, n, out);
  return out;
}

Indices read(const Bytes& in, Index sets, Index count, Index n) {
  ByteReader reader{in};
  auto indices = get_index_sets(reader, sets, count, n);
  reader.expect_end();
  return indices;
}

/// `sets` drawn sets, every one as likely.
Indices drawn_sets(Index sets, Index count, Index n, Rng& rng) {
  Indices out;
  for (Index set = 0; set < sets; ++set) {
    Index wanted = count;
    for (Index i = 0; i < n; ++i)
      if (rng.below(n - i) < wanted) {
        out.push_back(static_cast<std::uint32_t>(i));
        --wanted;
      }
  }
  return out;
}

/// What each form takes, counted bit by bit.
std::size_t smallest_form(const Indices& indices, Index count, Index n) {
  if (count == n) return 1;
  const auto total = static_cast<Index>(indices.size());
  std::size_t best =
      std::min(1 + packed_bytes(total / count * n, 1), 5 + packed_bytes(total, bits_for(n)));
  for (int r = 0; r < 16; ++r) {
    std::size_t bits = 0;
    for (Index i = 0; i < total; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const Index before = i % count == 0 ? -1 : Index{indices[at - 1]};
      bits += static_cast<std::size_t>((Index{indices[at]} - before - 1) / (Index{1} << r) + 1 + r);
    }
    best = std::min(best, 6 + (bits + 7) / 8);
  }
  return best;
}

}  // namespace

TEST_CASE("index sets: the four forms by hand", "[codec]") {
  CHECK(written({0, 1, 2}, 3, 3) == bytes_of({0}));
  CHECK(written({1, 3, 0, 2}, 2, 4) == bytes_of({1, 0b0101'1010}));
  // plain: a bitmap takes 1 + 5 bytes, this 5 + 1; rice 6 + 1 and more. The lower mode wins.
  CHECK(written({37}, 1, 40) == bytes_of({1, 0, 0, 0, 0, 0x20}));
  CHECK(written({63}, 1, 64) == bytes_of({2, 1, 0, 0, 0, 63}));
  // rice with r = 0: gaps 1, 0, 2, 0 are 10, 0, 110, 0, lowest bit first
  Indices close{1, 2, 5, 6};
  CHECK(written(close, 4, 10000) == bytes_of({3, 4, 0, 0, 0, 0, 0b0011001}));
  CHECK(read(written(close, 4, 10000), 1, 4, 10000) == close);
}

TEST_CASE("index sets: any sets come back from the smallest form", "[codec]") {
  Rng rng{.seed = 1};
  bool seen[4] = {};
  for (int run = 0; run < 600; ++run) {
    const Index n = 1 + rng.below(run % 3 == 0 ? 3000 : 40), sets = 1 + rng.below(4);
    const Index count = 1 + rng.below(run % 2 == 0 ? n : std::min<Index>(n, 9));
    const Indices indices = drawn_sets(sets, count, n, rng);
    const Bytes bytes = written(indices, count, n);
    REQUIRE(read(bytes, sets, count, n) == indices);
    REQUIRE(bytes.size() == smallest_form(indices, count, n));
    seen[std::to_integer<int>(bytes[0])] = true;
  }
  for (const bool mode : seen) CHECK(mode);
}

TEST_CASE("index sets: the caller's mistakes", "[codec]") {
  CHECK_THROWS_AS(written({0}, 0, 4), std::invalid_argument);
  CHECK_THROWS_AS(written({0, 1}, 2, 1), std::invalid_argument);
  CHECK_THROWS_AS(written({0, 1, 2}, 2, 4), std::invalid_argument);
  CHECK_THROWS_AS(written({0}, 1, Index{1} << 32), std::invalid_argument);
}

TEST_CASE("index sets: hostile bytes are refused", "[codec]") {
  const auto refusal = [](const Bytes& in, Index sets, Index count, Index n) {
    return reason_of<WireError>([&] { read(in, sets, count, n); });
  };
  constexpr Index huge = std::numeric_limits<Index>::max() / 2;
  CHECK(refusal({}, 1, 1, 2) == Reason::truncated);
  CHECK(refusal(bytes_of({4, 0}), 1, 1, 2) == Reason::malformed);
  CHECK(refusal(bytes_of({0}), 1, 1, 1) == std::nullopt);
  CHECK(refusal(bytes_of({0}), 1, 1, 2) == Reason::malformed);
  CHECK(refusal(bytes_of({0}), 1, 3, 2) == Reason::wrong_shape);
  CHECK(refusal(bytes_of({0}), 1, 0, 2) == Reason::wrong_shape);
  CHECK(refusal(bytes_of({0}), huge, 4, 4) == Reason::wrong_shape);
  CHECK(refusal(bytes_of({0}), 1, 1, huge) == Reason::wrong_shape);
  // bitmap
  CHECK(refusal(bytes_of({1, 0b01}), 1, 1, 2) == std::nullopt);
  CHECK(refusal(bytes_of({1, 0b11}), 1, 1, 2) == Reason::malformed);
  CHECK(refusal(bytes_of({1, 0b00}), 1, 1, 2) == Reason::malformed);
  CHECK(refusal(bytes_of({1, 0b101}), 1, 1, 2) == Reason::malformed);  // padding
  CHECK(refusal(bytes_of({1, 0b01}), 5, 1, 2) == Reason::truncated);
  CHECK(refusal(bytes_of({1, 0b01}), Index{1} << 40, 1, 2) == Reason::truncated);
  // plain
  CHECK(refusal(bytes_of({2, 2, 0, 0, 0, 0b1001}), 1, 2, 3) == std::nullopt);
  CHECK(refusal(bytes_of({2, 2, 0, 0, 0, 0b0110}), 1, 2, 3) == Reason::malformed);  // order
  CHECK(refusal(bytes_of({2, 2, 0, 0, 0, 0b0101}), 1, 2, 3) == Reason::malformed);  // twice
  CHECK(refusal(bytes_of({2, 2, 0, 0, 0, 0b1101}), 1, 2, 3) == Reason::malformed);  // too large
  CHECK(refusal(bytes_of({2, 1, 0, 0, 0, 0b1001}), 1, 2, 3) == Reason::malformed);  // count
  CHECK(refusal(bytes_of({2, 2, 0, 0, 0}), 1, 2, 3) == Reason::truncated);
  CHECK(refusal(bytes_of({2, 2, 0}), 1, 2, 3) == Reason::truncated);
  CHECK(refusal(bytes_of({2, 2, 0, 0, 0, 9}), Index{1} << 40, 2, 3) == Reason::truncated);
  // rice
  CHECK(refusal(bytes_of({3, 2, 0, 0, 0, 0, 0b00}), 1, 2, 9) == std::nullopt);
  CHECK(refusal(bytes_of({3, 2, 0, 0, 0, 16, 0b00}), 1, 2, 9) == Reason::malformed);
  CHECK(refusal(bytes_of({3, 3, 0, 0, 0, 0, 0b00}), 1, 2, 9) == Reason::malformed);
  CHECK(refusal(bytes_of({3, 1, 0, 0, 0, 0, 0xFF, 0xFF}), 1, 1, 9) == Reason::malformed);
  CHECK(refusal(bytes_of({3, 1, 0, 0, 0, 3, 0b0010}), 1, 1, 9) == std::nullopt);          // index 1
  CHECK(refusal(bytes_of({3, 1, 0, 0, 0, 3, 0b0001'01}), 1, 1, 9) == Reason::malformed);  // 9
  CHECK(refusal(bytes_of({3, 2, 0, 0, 0, 0, 0b011}), 1, 2, 3) == Reason::malformed);  // 2, then?
  CHECK(refusal(bytes_of({3, 1, 0, 0, 0, 0}), 1, 1, 9) == Reason::truncated);
  CHECK(refusal(bytes_of({3, 1, 0, 0, 0, 15, 0}), Index{1} << 40, 1, 9) == Reason::truncated);
}

TEST_CASE("index sets: damaged bytes are refused or ascend", "[codec]") {
  Rng rng{.seed = 2};
  for (int run = 0; run < 4000; ++run) {
    const Index n = 1 + rng.below(60), sets = 1 + rng.below(3), count = 1 + rng.below(n);
    Bytes bytes = written(drawn_sets(sets, count, n, rng), count, n);
    for (Index i = rng.below(3); i >= 0; --i)
      bytes[static_cast<std::size_t>(rng.below(static_cast<Index>(bytes.size())))] =
          static_cast<std::byte>(rng.below(256));
    try {
      const Indices came = read(bytes, sets, count, n);
      REQUIRE(read(written(came, count, n), sets, count, n) == came);
    } catch (const WireError&) {
    }
  }
}

}  // namespace splitvit::codec::detail
