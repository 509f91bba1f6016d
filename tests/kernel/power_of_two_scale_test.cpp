// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>
#include <vector>

#include <splitvit/kernel/power_of_two_scale.hpp>

#include "support/catch.hpp"

namespace splitvit::kernel {

TEMPLATE_TEST_CASE("power_of_two_scale: what huge numbers are divided by", "[kernel]", float,
                   double) {
  using T = TestType;
  constexpr int exponent = 50;
  constexpr T most = std::numeric_limits<T>::max();
  const T limit = std::ldexp(T{1}, exponent);
  for (const std::size_t count : {1u, 7u, 100'000u}) {
    std::vector<T> values(count);
    for (const T value : {T{0}, T{-3}, limit, -limit}) {
      values.back() = value;
      CHECK(power_of_two_scale<T>(values, exponent) == 1);
    }
    for (const T value : {2 * limit, -2 * limit, most, -most}) {
      values.back() = value;
      const T unit = power_of_two_scale<T>(values, exponent);
      CHECK(std::abs(value) / unit <= limit);
      int power = 0;
      CHECK(std::frexp(unit, &power) == T{0.5});
      CHECK(power_of_two_scale<T>(values, std::numeric_limits<T>::max_exponent) ==
            1);  // nothing to divide by
    }
  }
  CHECK(power_of_two_scale<T>({}, exponent) == 1);
}

}  // namespace splitvit::kernel
