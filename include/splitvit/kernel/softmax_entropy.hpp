// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max_element, min
#include <bit>        // bit_cast
#include <cmath>      // frexp
#include <numbers>    // ln2, log2e, sqrt2
#include <numeric>    // accumulate

#include <splitvit/core/std.hpp>

// How evenly a softmax spreads over values. Exponential and logarithm are made of operations that
// every machine rounds alike: otherwise two encoders might choose differently.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

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

/// -sum p ln p / ln n for p = softmax(values / unit) over n values; 0 for n = 1. With z_i <= 0 the
/// distances to the largest that is (ln S - M / S) / ln n for S = sum exp z_i, M = sum z_i exp z_i.
template <class T>
double softmax_entropy(std::span<const T> values, double unit) {
  if (values.size() == 1) return 0;
  const T largest = *std::ranges::max_element(values);
  constexpr std::size_t block = 256, lanes = 8;  // sums side by side, in a fixed order
  std::array<double, block> powers, products;
  std::array<double, lanes> sums{}, moments{};
  for (std::size_t begin = 0; begin < values.size(); begin += block) {
    const std::size_t count = std::min(block, values.size() - begin);
    const T* const from = values.data() + begin;
    for (std::size_t i = 0; i < count; ++i) {
      const double z = (static_cast<double>(from[i]) - static_cast<double>(largest)) / unit;
      powers[i] = exp_of_negative(z);
      products[i] = powers[i] * (z > -700.0 ? z : 0.0);
    }
    for (std::size_t i = count; i % lanes != 0; ++i) powers[i] = products[i] = 0;
    for (std::size_t i = 0; i < count; i += lanes)
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        sums[lane] += powers[i + lane];
        moments[lane] += products[i + lane];
      }
  }
  const double sum = std::accumulate(sums.begin(), sums.end(), 0.0);
  const double moment = std::accumulate(moments.begin(), moments.end(), 0.0);
  return (log2_of(sum) - moment / sum * std::numbers::log2e) /
         log2_of(static_cast<double>(values.size()));
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
