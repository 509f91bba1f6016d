// SPDX-License-Identifier: MIT
#pragma once

#include <bit>          // bit_cast
#include <concepts>     // floating_point
#include <cstdint>      // uint32_t, uint64_t
#include <span>         // span
#include <type_traits>  // conditional_t

// all_finite: whether numbers are neither NaN nor infinite.

namespace splitvit {

/// Whether no number is NaN or infinite. It tests bits, so that no compiler flag changes the
/// result. It does not stop early, so that the loop is fast.
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
