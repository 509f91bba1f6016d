// SPDX-License-Identifier: MIT
#pragma once

#include <bit>  // bit_cast

#include <splitvit/core/std.hpp>

namespace splitvit::inline SPLITVIT_BUILD {

/// Whether no number is NaN or infinite. Tests bits, which no compiler flag changes, and does not
/// stop early, which would be slower.
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

/// The number, or the largest one of its sign if it is infinite. NaN stays NaN.
template <std::floating_point T>
T limited(T value) {
  constexpr T most = std::numeric_limits<T>::max();
  return value > most ? most : value < -most ? -most : value;
}

}  // namespace splitvit::inline SPLITVIT_BUILD
