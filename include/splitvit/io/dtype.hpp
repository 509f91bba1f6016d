// SPDX-License-Identifier: MIT
#pragma once

#include <array>        // array
#include <bit>          // bit_cast
#include <cmath>        // ldexp
#include <cstddef>      // size_t
#include <cstdint>      // uint8_t, uint16_t, uint32_t
#include <limits>       // numeric_limits
#include <string_view>  // string_view

#include <splitvit/core/shape.hpp>  // Index

// The kinds of numbers in a safetensors file, and how the 16-bit ones are read.

namespace splitvit::io {

/// What a tensor in a file is made of.
enum class Dtype : std::uint8_t { u8, i64, f16, bf16, f32, f64 };

struct DtypeFacts {
  Dtype dtype;
  std::string_view name;  ///< as files spell it
  Index bytes;            ///< of one element
};

inline constexpr std::array<DtypeFacts, 6> dtypes = {{{Dtype::u8, "U8", 1},
                                                      {Dtype::i64, "I64", 8},
                                                      {Dtype::f16, "F16", 2},
                                                      {Dtype::bf16, "BF16", 2},
                                                      {Dtype::f32, "F32", 4},
                                                      {Dtype::f64, "F64", 8}}};

constexpr const DtypeFacts& facts(Dtype dtype) { return dtypes[static_cast<std::size_t>(dtype)]; }

/// A value in bfloat16: the upper half of a float.
inline float from_bfloat16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// A value in IEEE binary16: 1 sign, 5 exponent and 10 fraction bits.
inline float from_float16(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  float size = 0.0f;
  if (exponent == 31)
    size = fraction == 0 ? std::numeric_limits<float>::infinity()
                         : std::numeric_limits<float>::quiet_NaN();
  else if (exponent == 0)
    size = std::ldexp(static_cast<float>(fraction), -24);
  else
    size = std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return (bits & 0x8000u) != 0 ? -size : size;
}

}  // namespace splitvit::io
