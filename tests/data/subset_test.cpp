// SPDX-License-Identifier: MIT
#include <algorithm>
#include <stdexcept>

#include <splitvit/data/subset.hpp>

#include "support/catch.hpp"
#include "support/image_sets.hpp"

using namespace splitvit;

TEST_CASE("Subset: some samples, in the order in which they are named", "[data]") {
  const auto set = support::counting_set(6, 3, 2, 5);
  const data::Subset some{set, {4, 0, 5}};
  CHECK(some.size() == 3);
  CHECK(some.classes() == 6);
  CHECK(some.image_shape() == Shape{3, 2, 5});
  CHECK(some.label(0) == 4);
  CHECK(some.label(1) == 0);
  CHECK(std::ranges::equal(some.image(2).span(), set.image(5).span()));
  CHECK_THROWS_AS(some.image(3), std::out_of_range);
}

TEST_CASE("Subset: a sample that is not in the set is refused", "[data]") {
  const auto set = support::counting_set(6, 1, 2, 2);
  CHECK_THROWS_WITH((data::Subset{set, {1, 6}}), "Subset: sample 6 of 6 samples");
  CHECK_THROWS_AS((data::Subset{set, {-1}}), std::invalid_argument);
}
