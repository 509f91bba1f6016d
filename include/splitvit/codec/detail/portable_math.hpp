// SPDX-License-Identifier: MIT
#pragma once

#include <bit>      // bit_cast
#include <cmath>    // frexp
#include <cstdint>  // uint64_t
#include <numbers>  // ln2, log2e, sqrt2

// Exponential and logarithm in operations that every machine rounds alike: the system's own
// functions may differ in the last place, and then two encoders would choose differently.

namespace splitvit::codec::detail {

/// e^x for x <= 0, to 1e-11 of it; 0 below e^-700. A loop over it can be vectorised.
inline double exp_of_negative(double x) {
  constexpr double whole = 0x1.8p52;  // numbers near it are spaced by 1
  const double at_least = x > -700.0 ? x : -700.0;
  const double shifted = at_least * std::numbers::log2e + whole;
  const double y = (at_least * std::numbers::log2e - (shifted - whole)) * std::numbers::ln2;
  double series = 1 + y * (1.0 / 9);
  series = 1 + y * (1.0 / 8) * series;
  series = 1 + y * (1.0 / 7) * series;
  series = 1 + y * (1.0 / 6) * series;
  series = 1 + y * (1.0 / 5) * series;
  series = 1 + y * (1.0 / 4) * series;
  series = 1 + y * (1.0 / 3) * series;
  series = 1 + y * (1.0 / 2) * series;
  series = 1 + y * series;
  const std::uint64_t exponent = std::bit_cast<std::uint64_t>(shifted) + 1023;
  return x > -700.0 ? series * std::bit_cast<double>(exponent << 52) : 0.0;
}

/// log2 x for finite x > 0, to a few units in the last place; exact for powers of two.
inline double log2_of(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent);  // [1/2, 1)
  if (m < 0.5 * std::numbers::sqrt2) {
    m *= 2;
    --exponent;
  }
  // ln m = 2 (s + s^3 / 3 + s^5 / 5 + ...)
  const double s = (m - 1) / (m + 1), square = s * s;
  double series = 0;
  for (int i = 21; i > 0; i -= 2) series = 1.0 / i + square * series;
  return exponent + 2 * s * series * std::numbers::log2e;
}

}  // namespace splitvit::codec::detail
