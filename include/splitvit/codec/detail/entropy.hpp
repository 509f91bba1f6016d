// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min
#include <array>      // array
#include <bit>        // bit_cast
#include <cmath>      // log
#include <cstddef>    // size_t
#include <cstdint>    // uint64_t
#include <numbers>    // ln2, log2e
#include <span>       // span

// How evenly a softmax spreads over values.

namespace splitvit::codec::detail {

/// e^x for x <= 0, to 1e-11 of it, in operations that every machine rounds alike and a loop over
/// which can be vectorised; 0 below e^-700.
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

/// -sum p ln p / ln n for p = softmax(values / unit) over n values; 0 for n = 1. With
/// e_i = exp(z_i - max z), S their sum and M the sum of e_i (z_i - max z) that is
/// (ln S - M / S) / ln n.
template <class T>
double softmax_entropy(std::span<const T> values, double unit) {
  if (values.size() == 1) return 0;
  T largest = values[0];
  for (const T value : values) largest = std::max(largest, value);
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
  double sum = 0, moment = 0;
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    sum += sums[lane];
    moment += moments[lane];
  }
  return (std::log(sum) - moment / sum) / std::log(static_cast<double>(values.size()));
}

}  // namespace splitvit::codec::detail
