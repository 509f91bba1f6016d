// SPDX-License-Identifier: MIT
#include <limits>
#include <vector>

#include <splitvit/core/finite.hpp>

#include "support/catch.hpp"

using namespace splitvit;

TEMPLATE_TEST_CASE("finite: one bad number anywhere is found", "[core]", float, double) {
  using Limits = std::numeric_limits<TestType>;
  CHECK(all_finite(std::span<const TestType>{}));
  std::vector<TestType> values{0, -0.0, 1, Limits::max(), Limits::lowest(), Limits::denorm_min()};
  CHECK(all_finite(std::span<const TestType>{values}));
  for (const TestType bad : {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN()})
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::vector<TestType> with = values;
      with[i] = bad;
      CHECK_FALSE(all_finite(std::span<const TestType>{with}));
    }
}
