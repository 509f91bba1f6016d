// SPDX-License-Identifier: MIT
#include <algorithm>
#include <stdexcept>

#include <splitvit/data/relabelled.hpp>

#include "support/catch.hpp"
#include "support/image_sets.hpp"

using namespace splitvit;

TEST_CASE("Relabelled: other labels and more classes, the same images", "[data]") {
  const auto set = support::counting_set(4, 3, 2, 5);
  const data::Relabelled other{set, {7, 0, 2, 0}, 8};
  CHECK(other.size() == 4);
  CHECK(other.classes() == 8);
  CHECK(other.image_shape() == Shape{3, 2, 5});
  for (Index i = 0; i < 4; ++i) {
    CHECK(other.label(i) == (i == 0 ? 7 : i == 2 ? 2 : 0));
    CHECK(std::ranges::equal(other.image(i).span(), set.image(i).span()));
  }
}

TEST_CASE("Relabelled: one label for each class, within the classes", "[data]") {
  const auto set = support::counting_set(3, 1, 2, 2);
  CHECK_THROWS_WITH((data::Relabelled{set, {0, 1}, 3}),
                    "Relabelled: 2 labels for 3 classes, wanted one below 3 for each");
  CHECK_THROWS_AS((data::Relabelled{set, {0, 1, 3}, 3}), std::invalid_argument);
  CHECK_THROWS_AS((data::Relabelled{set, {0, -1, 2}, 3}), std::invalid_argument);
}
