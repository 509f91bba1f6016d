// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/std.hpp>

namespace splitvit::inline SPLITVIT_BUILD {

/// The type of a tensor's elements. The values are those in messages; files spell the names.
enum class Dtype : std::uint8_t { f32 = 1, f64 = 2, i32 = 3, u8 = 4, i64, f16, bf16 };

/// A type that this language has for a Dtype.
template <class T>
concept HasDtype =
    std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, std::int32_t> ||
    std::same_as<T, std::int64_t> || std::same_as<T, std::uint8_t>;

template <HasDtype T>
inline constexpr Dtype dtype_of = std::same_as<T, float>          ? Dtype::f32
                                  : std::same_as<T, double>       ? Dtype::f64
                                  : std::same_as<T, std::int32_t> ? Dtype::i32
                                  : std::same_as<T, std::int64_t> ? Dtype::i64
                                                                  : Dtype::u8;

}  // namespace splitvit::inline SPLITVIT_BUILD
