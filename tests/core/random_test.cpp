// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <set>
#include <span>
#include <vector>

#include <splitvit/core/random.hpp>

#include "support/catch.hpp"

using splitvit::Index;
using splitvit::Rng;
using splitvit::detail::philox_4x32;

TEST_CASE("philox: known answers of its authors' test, Random123 kat_vectors", "[core]") {
  using Block = std::array<std::uint32_t, 4>;
  CHECK(philox_4x32({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  constexpr std::uint32_t ones = 0xffffffff;
  CHECK(philox_4x32({ones, ones, ones, ones}, {ones, ones}) ==
        Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox_4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("Rng: bits are a function of seed, stream and position", "[core]") {
  Rng rng;
  CHECK(rng.bits() == 0xe169c58d6627e8d5u);
  CHECK(rng.position == 1);
  Rng a{.seed = 3, .stream = 4};
  a.bits();
  a.bits();
  const std::uint64_t third = a.bits();
  Rng b{.seed = 3, .stream = 4, .position = 2};
  CHECK(b.bits() == third);
  Rng c{.seed = 3, .stream = 5, .position = 2};
  CHECK(c.bits() != third);
}

TEST_CASE("Rng: uniform lies in [0, 1) with mean 1/2 and variance 1/12", "[core]") {
  Rng rng{.seed = 11};
  constexpr int n = 200000;
  double sum = 0.0;
  double square = 0.0;
  for (int i = 0; i < n; ++i) {
    const double u = rng.uniform();
    REQUIRE((u >= 0.0 && u < 1.0));
    sum += u;
    square += (u - 0.5) * (u - 0.5);
  }
  CHECK(std::abs(sum / n - 0.5) < 0.003);  // four standard errors
  CHECK(std::abs(square / n - 1.0 / 12.0) < 0.001);
  for (int i = 0; i < 1000; ++i) {
    const double u = rng.uniform(-2.0, 3.0);
    REQUIRE((u >= -2.0 && u < 3.0));
  }
}

TEST_CASE("Rng: normal has the moments of the normal distribution", "[core]") {
  Rng rng{.seed = 12};
  constexpr int n = 200000;
  double first = 0.0;
  double second = 0.0;
  double fourth = 0.0;
  int beyond = 0;
  for (int i = 0; i < n; ++i) {
    const double x = rng.normal();
    REQUIRE(std::isfinite(x));
    first += x;
    second += x * x;
    fourth += x * x * x * x;
    beyond += std::abs(x) > 1.959964 ? 1 : 0;
  }
  CHECK(std::abs(first / n) < 0.009);
  CHECK(std::abs(second / n - 1.0) < 0.013);
  CHECK(std::abs(fourth / n - 3.0) < 0.09);
  CHECK(std::abs(static_cast<double>(beyond) / n - 0.05) < 0.002);
}

TEST_CASE("Rng: below is fair", "[core]") {
  Rng rng{.seed = 13};
  constexpr Index kinds = 7;
  constexpr int n = 70000;
  std::array<int, kinds> count{};
  for (int i = 0; i < n; ++i) {
    const Index k = rng.below(kinds);
    REQUIRE((k >= 0 && k < kinds));
    ++count[static_cast<std::size_t>(k)];
  }
  double chi_square = 0.0;
  for (const int c : count) chi_square += (c - n / 7.0) * (c - n / 7.0) / (n / 7.0);
  CHECK(chi_square < 22.5);  // 6 degrees of freedom, one in a thousand
  for (int i = 0; i < 100; ++i) CHECK(rng.below(1) == 0);
  CHECK(rng.below(std::numeric_limits<Index>::max()) >= 0);
}

TEST_CASE("Rng: shuffle keeps the items and reaches every order", "[core]") {
  Rng rng{.seed = 14};
  std::array<int, 24> count{};
  for (int round = 0; round < 24000; ++round) {
    std::array<int, 4> items{0, 1, 2, 3};
    rng.shuffle(std::span<int>{items});
    std::size_t rank = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      std::size_t smaller = 0;
      for (std::size_t j = i + 1; j < 4; ++j) smaller += items[j] < items[i] ? 1u : 0u;
      rank = rank * (4 - i) + smaller;
    }
    ++count[rank];
  }
  for (const int c : count) CHECK(std::abs(c - 1000) < 130);  // four deviations
  std::vector<int> nothing;
  CHECK_NOTHROW(rng.shuffle(std::span<int>{nothing}));
}

TEST_CASE("Rng: choose takes without replacement, each choice equally likely", "[core]") {
  Rng rng{.seed = 15};
  std::array<int, 16> count{};  // of each set of two
  for (int round = 0; round < 6000; ++round) {
    std::array<int, 4> items{1, 2, 4, 8};
    rng.choose(std::span<int>{items}, 2);
    ++count[static_cast<std::size_t>(items[0] + items[1])];
    CHECK(items[0] + items[1] + items[2] + items[3] == 15);
  }
  for (const std::size_t pair : {3u, 5u, 9u, 6u, 10u, 12u})
    CHECK(std::abs(count[pair] - 1000) < 130);
  std::vector<int> all{1, 2};
  rng.choose(std::span<int>{all}, 2);
  CHECK(all[0] + all[1] == 3);
}

TEST_CASE("Rng: at names streams that do not meet and need no history", "[core]") {
  const Rng root{.seed = 1};
  Rng used = root;
  for (int i = 0; i < 100; ++i) used.bits();
  CHECK(used.at(1, 2, 3).bits() == root.at(1, 2, 3).bits());
  std::set<std::uint64_t> streams;
  for (std::uint64_t purpose = 0; purpose < 10; ++purpose)
    for (std::uint64_t first = 0; first < 30; ++first)
      for (std::uint64_t second = 0; second < 30; ++second)
        streams.insert(root.at(purpose, first, second).stream);
  CHECK(streams.size() == 9000);
  CHECK(root.at(1).at(2).stream != root.at(2).at(1).stream);
}
