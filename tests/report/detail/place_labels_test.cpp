// SPDX-License-Identifier: MIT
#include <vector>

#include <splitvit/report/detail/place_labels.hpp>

#include "support/catch.hpp"

using splitvit::report::detail::Label;
using splitvit::report::detail::place_labels;

TEST_CASE("place_labels: labels with room stay where they want to be", "[report]") {
  const auto y = place_labels({{100, 50, 40}, {100, 80, 40}}, 16, 0, 200, {});
  CHECK(y == std::vector<double>{50, 80});
}

TEST_CASE("place_labels: labels at one place share the push", "[report]") {
  const auto y = place_labels({{100, 50, 40}, {100, 50, 40}, {100, 50, 40}}, 16, 0, 200, {});
  CHECK(y[0] == Approx(34).margin(0.5));
  CHECK(y[1] == Approx(50).margin(0.5));
  CHECK(y[2] == Approx(66).margin(0.5));
}

TEST_CASE("place_labels: labels beside each other do not push", "[report]") {
  const auto y = place_labels({{100, 50, 40}, {150, 50, 40}}, 16, 0, 200, {});
  CHECK(y == std::vector<double>{50, 50});
}

TEST_CASE("place_labels: stays within bounds where there is room", "[report]") {
  const auto y = place_labels({{100, -5, 40}, {100, 0, 40}, {100, 300, 40}}, 16, 0, 200, {});
  CHECK(y[0] >= 0);
  CHECK(y[1] >= y[0] + 15.9);
  CHECK(y[2] <= 200);
}

TEST_CASE("place_labels: steps aside for a line", "[report]") {
  const auto y =
      place_labels({{100, 50, 40}}, 16, 0, 200, {{105, 53}, {110, 53}, {115, 53}, {120, 53}});
  CHECK(y[0] < 50);
}
