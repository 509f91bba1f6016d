// SPDX-License-Identifier: MIT
#include <array>
#include <cmath>
#include <map>
#include <vector>

#include <splitvit/codec/detail/entry_drawer.hpp>

#include "support/catch.hpp"

namespace splitvit::codec::detail {
namespace {

using Set = std::vector<std::uint32_t>;

/// How likely each set is when `left` entries are drawn one after the other by their weights.
void enumerate(const std::vector<double>& weights, Set drawn, Index left, double probability,
               std::map<Set, double>& found) {
  if (left == 0) {
    std::ranges::sort(drawn);
    found[drawn] += probability;
    return;
  }
  double sum = 0;
  for (std::uint32_t i = 0; i < weights.size(); ++i)
    if (std::ranges::find(drawn, i) == drawn.end()) sum += weights[i];
  for (std::uint32_t i = 0; i < weights.size(); ++i) {
    if (std::ranges::find(drawn, i) != drawn.end()) continue;
    Set more = drawn;
    more.push_back(i);
    enumerate(weights, more, left - 1, probability * weights[i] / sum, found);
  }
}

}  // namespace

TEST_CASE("entry drawer: sets come as often as successive draws would give them", "[codec]") {
  constexpr double alpha = 0.3;
  constexpr Index k = 2, n = 5;
  const Set largest{1, 3};
  const auto weights = draw_weights(alpha, k, n);
  CHECK(weights.largest == Approx(0.35));
  CHECK(weights.other == Approx(0.1));
  std::map<Set, double> wanted;
  enumerate({0.1, 0.35, 0.1, 0.35, 0.1}, {}, k, 1.0, wanted);

  std::map<Set, int> seen;
  Rng rng{.seed = 1};
  EntryDrawer drawer{alpha, k, n};
  constexpr int runs = 40000;
  for (int run = 0; run < runs; ++run) {
    Set entries = largest;
    drawer.draw(entries, rng);
    ++seen[entries];
  }
  REQUIRE(seen.size() == wanted.size());
  for (const auto& [set, probability] : wanted) {
    const double deviation = std::sqrt(probability * (1 - probability) / runs);
    CHECK(std::abs(seen[set] / double{runs} - probability) < 4.5 * deviation);
  }
}

}  // namespace splitvit::codec::detail
