// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // clamp, nth_element
#include <bit>         // bit_cast
#include <cmath>       // nearbyint
#include <functional>  // greater

#include <splitvit/core/shape.hpp>  // Index

namespace splitvit::inline SPLITVIT_BUILD::kernel {

/// How many of n >= 1 numbers stay at a rate: max(1, half_even(rate n)), at most n.
inline Index kept_entries(double rate, Index n) {
  const auto k = static_cast<Index>(std::nearbyint(rate * static_cast<double>(n)));
  return std::clamp<Index>(k, 1, n);
}

/// Where the kept.size() finite numbers of largest magnitude are, in ascending order; of equal
/// ones the first. Takes about two passes over the numbers.
template <std::floating_point T>
void largest_entries(std::span<const T> values, std::span<std::uint32_t> kept) {
  // Without its sign, a finite number's bits are ordered as its magnitude.
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const auto size_of = [](T value) {
    return static_cast<Bits>(std::bit_cast<Bits>(value) << 1) >> 1;
  };

  // 1. Find the upper bits of the smallest number that stays.
  constexpr int lower = sizeof(T) == 4 ? 19 : 51;  // 12 upper bits: exponent and a little more
  std::array<std::uint32_t, 4096> counts{};
  for (const T value : values) ++counts[size_of(value) >> lower];
  std::size_t above = 0, bin = counts.size() - 1;  // numbers in higher bins
  for (; above + counts[bin] < kept.size(); --bin) above += counts[bin];

  // 2. Find it among the few with these bits, and how many of its size stay.
  std::vector<Bits> near;
  near.reserve(counts[bin]);
  for (const T value : values)
    if (const Bits size = size_of(value); size >> lower == bin) near.push_back(size);
  const auto smallest = near.begin() + static_cast<Index>(kept.size() - above) - 1;
  std::nth_element(near.begin(), smallest, near.end(), std::greater{});
  const Bits threshold = *smallest;
  std::size_t larger = above;
  for (const Bits size : near) larger += size > threshold ? 1 : 0;
  std::size_t ties = kept.size() - larger;

  // 3. Collect.
  std::size_t next = 0;
  for (std::size_t i = 0; i < values.size() && next < kept.size(); ++i) {
    const Bits size = size_of(values[i]);
    if (size < threshold || (size == threshold && ties == 0)) continue;
    if (size == threshold) --ties;
    kept[next++] = static_cast<std::uint32_t>(i);
  }
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
