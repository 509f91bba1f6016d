// SPDX-License-Identifier: MIT
#pragma once

#include <bit>          // bit_cast
#include <concepts>     // floating_point
#include <cstdint>      // uint32_t, uint64_t
#include <span>         // span
#include <type_traits>  // conditional_t

// all_finite: is every number one that can be calculated with?

namespace splitvit {

/// Whether no number is NaN or infinite. Looks at bits, so that no compiler flag can fool it,
/// and at all of them, so that the loop is fast.
template <std::floating_point T>
bool all_finite(std::span<const T> values) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr auto exponent = static_cast<Bits>(sizeof(T) == 4 ? 0x7F800000u : 0x7FF0000000000000u);
  Bits bad = 0;
  for (const T value : values)
    bad |= static_cast<Bits>((std::bit_cast<Bits>(value) & exponent) == exponent);
  return bad == 0;
}

}  // namespace splitvit
