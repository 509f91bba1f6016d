// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include <splitvit/leakage/roc.hpp>

#include "support/catch.hpp"

namespace splitvit::leakage {

TEST_CASE("roc: the area that scikit-learn finds, with equal scores", "[leakage]") {
  std::vector<Guess> guesses, turned;
  for (int i = 0; i < 40; ++i) {
    const double score = std::floor(10 * std::sin(1.7 * i)) / 10;
    guesses.push_back({score, i * 7 % 5 < 2});
    turned.push_back({-score, i * 7 % 5 < 2});
  }
  CHECK(area_under_curve(guesses) == Approx(0.5104166666666666).epsilon(1e-12));  // 1.9.1
  CHECK(area_under_curve(turned) == Approx(0.48958333333333337).epsilon(1e-12));
}

TEST_CASE("roc: the best, the worst, and guessing", "[leakage]") {
  CHECK(area_under_curve({{1, false}, {2, false}, {3, true}}) == 1);
  CHECK(area_under_curve({{3, false}, {2, true}, {1, true}}) == 0);
  CHECK(area_under_curve({{5, false}, {5, true}, {5, true}}) == 0.5);
  CHECK_THROWS_WITH(area_under_curve({{5, true}}), ContainsSubstring("1 true and 0 false guesses"));
  CHECK_THROWS_AS(area_under_curve({{std::nan(""), true}, {1, false}}), std::invalid_argument);
}

}  // namespace splitvit::leakage
