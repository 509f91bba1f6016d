// SPDX-License-Identifier: MIT
#include <cmath>
#include <numbers>

#include <splitvit/kernel/unit_root.hpp>

#include "support/catch.hpp"

namespace splitvit::kernel {

TEST_CASE("unit_root: quarters and eighths of a turn", "[kernel]") {
  for (const Index n : {4, 12, 37824}) {
    CHECK(unit_root(0, n).cosine == 1.0);
    CHECK(unit_root(0, n).sine == 0.0);
    CHECK(unit_root(n / 4, n).cosine == 0.0);
    CHECK(unit_root(n / 4, n).sine == 1.0);
    CHECK(unit_root(n / 2, n).cosine == -1.0);
    CHECK(unit_root(n / 2, n).sine == 0.0);
    CHECK(unit_root(3 * n / 4, n).cosine == 0.0);
    CHECK(unit_root(3 * n / 4, n).sine == -1.0);
  }
  CHECK(unit_root(1, 8).cosine == Approx(std::sqrt(0.5)).epsilon(1e-15));
  CHECK(unit_root(1, 8).sine == Approx(std::sqrt(0.5)).epsilon(1e-15));
}

TEST_CASE("unit_root: agrees with the system's functions", "[kernel]") {
  for (const Index n : {1, 3, 7, 8, 97, 192, 37824})
    for (Index k = 0; k < 3 * n; k += 1 + n / 500) {
      const double turn =
          2 * std::numbers::pi * static_cast<double>(k % n) / static_cast<double>(n);
      const UnitRoot root = unit_root(k, n);
      CHECK(std::abs(root.cosine - std::cos(turn)) < 1e-15);
      CHECK(std::abs(root.sine - std::sin(turn)) < 1e-15);
    }
}

}  // namespace splitvit::kernel
