// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min
#include <array>      // array
#include <cstddef>    // size_t
#include <numbers>    // log2e
#include <span>       // span

#include <splitvit/codec/detail/portable_math.hpp>  // exp_of_negative, log2_of

// How evenly a softmax spreads over values.

namespace splitvit::codec::detail {

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
  return (log2_of(sum) - moment / sum * std::numbers::log2e) /
         log2_of(static_cast<double>(values.size()));
}

}  // namespace splitvit::codec::detail
