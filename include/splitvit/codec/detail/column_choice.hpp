// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min, sort
#include <cmath>      // floor
#include <cstddef>    // size_t
#include <cstdint>    // uint32_t
#include <numeric>    // iota
#include <span>       // span
#include <vector>     // vector

#include <splitvit/core/shape.hpp>  // Index

// Which columns are kept: with which probability, and which ones.

namespace splitvit::codec::detail {

/// Probabilities that sum to J, 0 <= J <= number of columns: min(1, t * deviation) with one t for
/// all. If no more than J columns deviate, those have 1, and the others share the rest.
inline std::vector<double> keep_probabilities(std::span<const double> deviations, Index J) {
  const std::size_t n = deviations.size();
  std::vector<std::uint32_t> order(n);  // largest deviation first
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return deviations[a] != deviations[b] ? deviations[a] > deviations[b] : a < b;
  });
  std::vector<double> rest(n + 1);  // the sum from each place to the end
  for (std::size_t i = n; i-- > 0;) rest[i] = rest[i + 1] + deviations[order[i]];
  const auto left = static_cast<std::size_t>(J);
  std::size_t positive = 0;
  while (positive < n && deviations[order[positive]] > 0) ++positive;

  std::vector<double> out(n, 1.0);
  if (positive <= left) {
    const double share = static_cast<double>(left - positive) / static_cast<double>(n - positive);
    for (std::size_t i = positive; i < n; ++i) out[order[i]] = share;
    return out;
  }
  std::size_t m = 0;  // columns with probability 1
  while (m < left && static_cast<double>(left - m) * deviations[order[m]] >= rest[m]) ++m;
  const auto budget = static_cast<double>(left - m);
  for (std::size_t i = m; i < n; ++i)
    out[order[i]] = std::min(1.0, budget * deviations[order[i]] / rest[m]);
  return out;
}

/// J columns, each with its probability; their sum is J. `u` is one draw in [0, 1).
///
/// Column j is kept where the running sum plus u passes a whole number: as many as J, no matter
/// what is drawn.
inline std::vector<std::uint32_t> choose_columns(std::span<const double> probabilities, Index J,
                                                 double u) {
  std::vector<char> kept(probabilities.size());
  Index certain = 0;
  for (std::size_t j = 0; j < kept.size(); ++j)
    if (probabilities[j] >= 1) {
      kept[j] = 1;
      ++certain;
    }
  Index left = J - certain;
  double sum = u;
  for (std::size_t j = 0, taken = 0; j < kept.size() && left > 0; ++j) {
    if (kept[j] != 0) continue;
    sum += probabilities[j];
    if (sum < static_cast<double>(taken + 1) || probabilities[j] <= 0) continue;
    kept[j] = 1;
    ++taken;
    --left;
  }
  // Rounding may leave the last sum just below J.
  for (std::size_t j = kept.size(); j-- > 0 && left > 0;)
    if (kept[j] == 0 && probabilities[j] > 0) {
      kept[j] = 1;
      --left;
    }
  std::vector<std::uint32_t> out;
  for (std::size_t j = 0; j < kept.size(); ++j)
    if (kept[j] != 0) out.push_back(static_cast<std::uint32_t>(j));
  return out;
}

}  // namespace splitvit::codec::detail
