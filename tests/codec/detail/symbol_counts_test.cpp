// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include <splitvit/codec/detail/symbol_counts.hpp>

#include "support/catch.hpp"

namespace splitvit::codec::detail {
namespace {

std::vector<int> shares_of(const SymbolCounts& counts) {
  const SymbolTable table = table_of(counts);
  std::vector<int> shares;
  for (std::size_t s = 0; s < alphabet; ++s)
    shares.push_back(table[s] - (s == 0 ? 0 : table[s - 1]));
  return shares;
}

}  // namespace

TEST_CASE("symbol counts: shares are in proportion, at least 1, and fill the whole", "[codec]") {
  SymbolCounts none{};
  CHECK(shares_of(none) == std::vector<int>(16, 2048));
  SymbolCounts two{300, 100};
  const auto shares = shares_of(two);
  CHECK(shares[0] == 1 + 24564);  // of 32752
  CHECK(shares[1] == 1 + 8188);
  CHECK(shares[15] == 1);
  for (const std::uint32_t large : {1u, 5u, 0xFFFFFFFFu}) {
    SymbolCounts counts;
    counts.fill(large);
    counts[3] = 0;
    const auto all = shares_of(counts);
    CHECK(std::accumulate(all.begin(), all.end(), 0) == 1 << probability_bits);
    CHECK(*std::min_element(all.begin(), all.end()) == 1);
  }
}

TEST_CASE("symbol counts: a geometric start has the mean that was asked for", "[codec]") {
  for (const std::uint64_t mean : {0u, 100u, 1024u, 2000u}) {
    const SymbolCounts counts = geometric_counts(mean);
    double sum = 0, weighted = 0;
    for (std::size_t s = 0; s < alphabet; ++s) {
      sum += counts[s];
      weighted += static_cast<double>(s) * counts[s];
    }
    CHECK(weighted / sum == Approx(static_cast<double>(mean) / 1024).epsilon(0.15));
  }
}

TEST_CASE("symbol counts: what was seen long ago counts for little", "[codec]") {
  SymbolCounts counts{4, 4};
  CHECK(!add_counts(counts, {}));
  CHECK(counts == SymbolCounts{4, 4});
  CHECK(add_counts(counts, {0, 10}));
  CHECK(counts == SymbolCounts{4, 14});  // few: all of it is kept
  counts = {1 << 20, 1 << 20};
  add_counts(counts, {1, 0, 7});
  CHECK(counts == SymbolCounts{(1 << 12) + 1, 1 << 12, 7});
  counts.fill(0xFFFFFFFFu);
  SymbolCounts many;
  many.fill(0xFFFFFFFFu);
  for (int i = 0; i < 5; ++i) add_counts(counts, many);
  CHECK(sum_of(counts) < (1u << 25));
  CHECK(counts[0] > (1u << 19));
}

}  // namespace splitvit::codec::detail
