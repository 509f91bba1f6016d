// SPDX-License-Identifier: MIT
#include <cmath>
#include <concepts>
#include <limits>
#include <vector>

#include <splitvit/kernel/exponential.hpp>

#include "support/catch.hpp"

namespace splitvit::kernel {

namespace {

template <class T>
std::vector<T> exponentials(const std::vector<T>& x) {
  std::vector<T> y(x.size());
  transform<T>(
      static_cast<Index>(x.size()), y.data(),
      [](const auto& v) { return exp_of_nonpositive<T>(v); }, x.data());
  return y;
}

}  // namespace

TEMPLATE_TEST_CASE("exponential: right to two units in the last place, or zero",
                   "[kernel][exponential]", float, double) {
  using T = TestType;
  std::vector<T> x;
  for (double v = -86.0; v <= 0.0; v += 0.0113) x.push_back(static_cast<T>(v));
  const std::vector<T> y = exponentials(x);
  const double allowed = 2 * static_cast<double>(std::numeric_limits<T>::epsilon());
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    worst = std::max(worst,
                     std::abs(static_cast<double>(y[i]) / std::exp(static_cast<double>(x[i])) - 1));
  CHECK(worst <= allowed);
}

TEMPLATE_TEST_CASE("exponential: one for zero, nothing far out, NaN for NaN",
                   "[kernel][exponential]", float, double) {
  using T = TestType;
  const T inf = std::numeric_limits<T>::infinity();
  const std::vector<T> y = exponentials<T>({T{0}, T(-1e4), -inf, std::numeric_limits<T>::lowest()});
  CHECK(y[0] == T{1});
  CHECK(y[1] == T{0});
  CHECK(y[2] == T{0});
  CHECK(y[3] == T{0});
  // In double xsimd 8.1 makes a whole number of NaN on its way, which sanitizers refuse.
  if constexpr (std::same_as<T, float>)
    CHECK(std::isnan(exponentials<T>({std::numeric_limits<T>::quiet_NaN()})[0]));
}

}  // namespace splitvit::kernel
