// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min
#include <bit>        // bit_cast

#include <splitvit/core/std.hpp>

// SmallFloat: floating-point numbers of 16 bits: a sign, E of the exponent, M of the mantissa.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

/// Converts from and to float or double by arithmetic on bits, without branches: whatever the
/// processor's rounding and its treatment of very small numbers.
template <int E, int M>
struct SmallFloat {
  static_assert(1 + E + M == 16);
  static constexpr std::uint16_t infinity = ((1u << E) - 1u) << M;

  /// To nearest, halves to even; at most the largest finite number, for infinity and NaN, too.
  template <std::floating_point T>
  static std::uint16_t from(T value) {
    using Of = Layout<T>;
    using Bits = typename Of::Bits;
    const auto bits = std::bit_cast<Bits>(value);
    const auto sign = static_cast<Bits>(bits >> (Of::width - 16) & 0x8000u);
    const Bits size = std::min<Bits>(bits & ~Of::sign, Of::largest);
    const Bits odd = size >> Of::shift & 1u;
    const Bits normal = (size - Of::rebias + ((Bits{1} << (Of::shift - 1)) - 1) + odd) >> Of::shift;
    if constexpr (Of::rebias == 0) {
      return static_cast<std::uint16_t>(sign | normal);
    } else {
      // The unit of this sum's last bit is that of small numbers without a leading one.
      const Bits small =
          std::bit_cast<Bits>(std::bit_cast<T>(size) + std::bit_cast<T>(Of::units)) - Of::units;
      return static_cast<std::uint16_t>(sign | (size < Of::least_normal ? small : normal));
    }
  }

  /// Exactly. `bits` must not be infinity or NaN.
  template <std::floating_point T>
  static T to(std::uint16_t bits) {
    using Of = Layout<T>;
    using Bits = typename Of::Bits;
    const auto sign = static_cast<Bits>(Bits{bits & 0x8000u} << (Of::width - 16));
    const std::uint32_t size = bits & 0x7FFFu;
    const Bits normal = (Bits{size} << Of::shift) + Of::rebias;
    if constexpr (Of::rebias == 0) {
      return std::bit_cast<T>(sign | normal);
    } else {
      const T unit = std::bit_cast<T>(Of::power_of_two(1 - Of::own_bias - M));
      const auto small =
          std::bit_cast<Bits>(static_cast<T>(static_cast<std::int32_t>(size)) * unit);
      return std::bit_cast<T>(sign | (size < (1u << M) ? small : normal));
    }
  }

  /// The same for all bits.
  template <std::floating_point T>
  static T value(std::uint16_t bits) {
    if (is_finite(bits)) return to<T>(bits);
    using Limits = std::numeric_limits<T>;
    if ((bits & 0x7FFFu) != infinity) return Limits::quiet_NaN();
    return (bits & 0x8000u) != 0 ? -Limits::infinity() : Limits::infinity();
  }

  static bool is_finite(std::uint16_t bits) { return (bits & infinity) != infinity; }

  /// Whether the number is beyond the largest finite one.
  template <std::floating_point T>
  static bool saturates(T value) {
    using Of = Layout<T>;
    return (std::bit_cast<typename Of::Bits>(value) & ~Of::sign) > Of::largest;
  }

 private:
  /// Where things are in the larger type.
  template <class T>
  struct Layout {
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    static constexpr int width = 8 * sizeof(T);
    static constexpr int mantissa = std::numeric_limits<T>::digits - 1;
    static constexpr int bias = std::numeric_limits<T>::max_exponent - 1;
    static constexpr int own_bias = (1 << (E - 1)) - 1;
    static constexpr int shift = mantissa - M;
    static constexpr Bits sign = Bits{1} << (width - 1);
    static constexpr Bits rebias = static_cast<Bits>(bias - own_bias) << mantissa;
    static constexpr Bits largest = (static_cast<Bits>(infinity - 1u) << shift) + rebias;
    static constexpr Bits power_of_two(int exponent) {
      return static_cast<Bits>(exponent + bias) << mantissa;
    }
    static constexpr Bits least_normal = power_of_two(1 - own_bias);
    static constexpr Bits units = power_of_two(1 - own_bias - M + mantissa);
  };
};

/// IEEE binary16: 11 significant bits, up to 65504.
using HalfFloat = SmallFloat<5, 10>;
/// The upper half of a float: 8 significant bits and the range of float.
using BrainFloat = SmallFloat<8, 7>;

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
