// SPDX-License-Identifier: MIT
#include <array>
#include <cmath>
#include <map>
#include <vector>

#include <splitvit/codec/random_top_k.hpp>

#include "codec/laws.hpp"

namespace splitvit::codec {
namespace {

using test::make_trip;
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

TEST_CASE("RandomTopK: sets come as often as successive draws would give them", "[codec]") {
  constexpr double alpha = 0.3;
  constexpr Index k = 2, n = 5;
  const Set largest{1, 3};
  const auto weights = detail::draw_weights(alpha, k, n);
  CHECK(weights.largest == Approx(0.35));
  CHECK(weights.other == Approx(0.1));
  std::map<Set, double> wanted;
  enumerate({0.1, 0.35, 0.1, 0.35, 0.1}, {}, k, 1.0, wanted);

  std::map<Set, int> seen;
  Rng rng{.seed = 1};
  detail::EntryDrawer drawer{alpha, k, n};
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

TEMPLATE_TEST_CASE("RandomTopK: without chance it is TopK, bit for bit", "[codec]", float, double) {
  using T = TestType;
  Rng rng{.seed = 2};
  const auto x = test::drawn<T>({3, 4, 10}, rng), g = test::drawn<T>({3, 4, 10}, rng);
  for (const double rate : {0.1, 0.5, 1.0}) {
    const auto plain = make_trip<T>(TopK<>{.rate = rate}, x, g);
    const auto random = make_trip<T>(RandomTopK<>{.rate = rate, .alpha = 0}, x, g);
    CHECK(random.up == plain.up);
    CHECK(random.down == plain.down);
    const RandomTopK<> codec{.rate = rate, .alpha = 0.9};
    CHECK(make_trip<T>(codec.for_evaluation(), x, g).up == plain.up);
    if (rate == 1.0) CHECK(make_trip<T>(codec, x, g).up == plain.up);
  }
}

TEMPLATE_TEST_CASE("RandomTopK: k values, most of them large; laws", "[codec]", float, double) {
  using T = TestType;
  Rng rng{.seed = 3};
  const auto x = test::drawn<T>({16, 20, 30}, rng);
  const RandomTopK<> codec{.rate = 0.1, .alpha = 0.2};
  const auto trip = make_trip<T>(codec, x, x);
  CHECK(trip.sent.indices.size() == 16 * 60);
  const auto top = detail::largest_of_samples<T>(x.view(), 60);
  Index both = 0;
  for (Index b = 0; b < 16; ++b) {
    Set common;
    std::ranges::set_intersection(std::span{top}.subspan(test::at(b * 60), 60),
                                  std::span{trip.sent.indices}.subspan(test::at(b * 60), 60),
                                  std::back_inserter(common));
    both += static_cast<Index>(common.size());
  }
  // Without replacement the largest become rarer while they are drawn: about a third are others.
  CHECK(both > 16 * 30);
  CHECK(both < 16 * 48);
  // TopK can read it.
  CHECK(test::equal_bits(TopK<>{}.template decode<T>(trip.up, x.shape()).values, trip.came.values));
  CHECK(make_trip<T>(codec, x, x, Rng{.seed = 99}).up != trip.up);
  test::check_laws<T>(codec, {3, 4, 5});
  test::check_extremes<T>(codec, {3, 4, 5});
}

TEST_CASE("RandomTopK: misuse", "[codec]") {
  Rng rng;
  std::vector<std::byte> out;
  const Tensor<float> x{{2, 3}};
  for (const double alpha : {-0.1, 1.0, std::nan("")})
    CHECK_THROWS_AS(RandomTopK<>{.alpha = alpha}.encode<float>(x.view(), out, rng),
                    std::invalid_argument);
  CHECK_THROWS_AS(RandomTopK<>{.rate = 0}.encode<float>(x.view(), out, rng), std::invalid_argument);
  CHECK_THROWS_AS(RandomTopK<>{.rate = 2}.decode<float>(out, {2, 3}), std::invalid_argument);
  CHECK(RandomTopK<>{}.description() == "random_top_k rate=0.1 alpha=0.1 values=(float32)");
}

}  // namespace splitvit::codec
