// SPDX-License-Identifier: MIT
#include <cstdint>
#include <set>

#include <splitvit/core/hash_set.hpp>
#include <splitvit/core/random.hpp>

#include "support/catch.hpp"

using splitvit::HashSet;
using splitvit::Index;
using splitvit::Rng;

namespace {

constexpr auto as_it_is = [](std::uint64_t number) { return number; };
constexpr auto equal = [](std::uint64_t a, std::uint64_t b) { return a == b; };

}  // namespace

TEST_CASE("HashSet: as std::set, while it grows", "[core]") {
  Rng rng{.seed = 3};
  // Neighbours, multiples of a power of two, and numbers that all hash to one place.
  for (const std::uint64_t step : {1u, 4096u})
    for (const bool collide : {false, true}) {
      HashSet set{0, [collide](std::uint64_t n) { return collide ? std::uint64_t{7} : n; }, equal};
      std::set<std::uint64_t> plain;
      for (int i = 0; i < 600; ++i) {
        const std::uint64_t number = step * static_cast<std::uint64_t>(rng.below(400));
        CHECK(set.contains(number) == plain.contains(number));
        CHECK(set.insert(number) == plain.insert(number).second);
        CHECK(set.contains(number));
      }
      for (std::uint64_t i = 0; i < 400; ++i)
        CHECK(set.contains(step * i) == plain.contains(step * i));
    }
}

TEST_CASE("HashSet: what is equal counts once", "[core]") {
  HashSet halves{4, [](std::uint64_t n) { return n / 2; },
                 [](std::uint64_t a, std::uint64_t b) { return a / 2 == b / 2; }};
  CHECK(halves.insert(6));
  CHECK(!halves.insert(7));
  CHECK(halves.contains(7));
  CHECK(!halves.contains(5));
  HashSet numbers{1, as_it_is, equal};
  CHECK(!numbers.contains(0));
  CHECK(numbers.insert(0));
  CHECK(!numbers.insert(0));
  CHECK(numbers.insert(~std::uint64_t{0} - 1));
}
