// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // fill, min
#include <bit>        // bit_cast
#include <cmath>      // floor, isfinite

#include <splitvit/core/bytes.hpp>   // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>   // Reason
#include <splitvit/core/random.hpp>  // Rng
#include <splitvit/core/shape.hpp>   // Index

// The range quantiser: numbers as codes of b bits between the least and the greatest of them.
//
//   low = min v      scale = (max v - min v) / (2^b - 1)
//   code = clamp(half_even((v - low) / scale), 0, 2^b - 1)        v' = code * scale + low
//
// Every step is rounded to the element type, and the product before the sum. The same bits come
// out on every machine: nothing here is left to a fused multiply-add, and numbers too small for
// full precision count as zero, whether the processor treats them so or not.

namespace splitvit::inline SPLITVIT_BUILD::codec::detail {

/// With a smaller scale, differences would be too small for full precision, and so would the
/// lower half of a scale in double.
template <std::floating_point T>
inline constexpr T least_scale = std::numeric_limits<T>::min() * T{sizeof(T) == 4 ? 0x1p2 : 0x1p54};

/// What codes of a group mean. Scale 0: the group has no codes, every value is `low`.
template <std::floating_point T>
struct Range {
  T low = 0;
  T scale = 0;
};

template <std::floating_point T>
using BitsOf = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

/// The number, or +0 if it is -0 or too small for full precision.
template <std::floating_point T>
T flush_tiny(T value) {
  constexpr BitsOf<T> exponent = std::bit_cast<BitsOf<T>>(std::numeric_limits<T>::infinity());
  const auto bits = std::bit_cast<BitsOf<T>>(value);
  return std::bit_cast<T>((bits & exponent) == 0 ? BitsOf<T>{0} : bits);
}

/// The largest code of `bits` bits.
template <std::floating_point T>
T top_code(int bits) {
  return static_cast<T>((1u << bits) - 1u);
}

/// code * scale, rounded once. What is summed is exact, so a fused multiply-add makes no
/// difference, neither here nor in a sum with this product.
inline float product(std::uint16_t code, float scale) {
  const double exact = static_cast<double>(code) * static_cast<double>(scale);
  return static_cast<float>(std::min(exact, double{std::numeric_limits<float>::max()}));
}
inline double product(std::uint16_t code, double scale) {
  const double high = std::bit_cast<double>(std::bit_cast<std::uint64_t>(scale) & ~0xFFFFull);
  const auto c = static_cast<double>(code);
  return c * high + c * (scale - high);
}

/// Whether codes of this range may mean more than the largest number. Then all is halved first.
template <std::floating_point T>
bool is_wide(const Range<T>& range, T top) {
  constexpr T small = T{0x1p-20},
              limit = std::numeric_limits<T>::max() * small * static_cast<T>(0.999);
  const T span = top * (range.scale * small);
  return span > limit || span + range.low * small > limit;
}

/// (value - low) / scale as a number in [0, top].
template <bool wide, std::floating_point T>
T place_in(const Range<T>& range, T value, T top) {
  const T v = flush_tiny(value);
  const T place = wide ? (v * T{0.5} - range.low * T{0.5}) / (range.scale * T{0.5})
                       : flush_tiny<T>(v - range.low) / range.scale;
  const T at_least = place > T{0} ? place : T{0};
  return at_least < top ? at_least : top;
}

/// A number in [0, 65535] as the nearest whole one; halves become even.
template <std::floating_point T>
std::uint16_t half_even(T place) {
  constexpr T units = sizeof(T) == 4 ? T{0x1p23} : T{0x1p52};  // from here on numbers are whole
  return static_cast<std::uint16_t>(std::bit_cast<BitsOf<T>>(place + units));
}

/// What a code means.
template <bool wide, std::floating_point T>
T value_of(const Range<T>& range, std::uint16_t code) {
  if constexpr (!wide) return flush_tiny<T>(product(code, range.scale) + range.low);
  constexpr T most = std::numeric_limits<T>::max();
  const T value = T{2} * (product(code, range.scale * T{0.5}) + range.low * T{0.5});
  return value < most ? value : most;
}

/// The least and the greatest of some numbers.
template <std::floating_point T>
struct Extremes {
  T low;
  T high;
};

/// The extremes of both.
template <std::floating_point T>
Extremes<T> joined(const Extremes<T>& a, const Extremes<T>& b) {
  return {b.low < a.low ? b.low : a.low, b.high > a.high ? b.high : a.high};
}

/// The extremes of at least one finite value.
template <std::floating_point T>
Extremes<T> find_extremes(std::span<const T> values) {
  constexpr std::size_t lanes = 16;  // so that comparisons do not wait for each other
  std::array<T, lanes> low, high;
  low.fill(flush_tiny(values[0]));
  high = low;
  const auto look_at = [&](T value, std::size_t lane) {
    const T v = flush_tiny(value);
    low[lane] = v < low[lane] ? v : low[lane];
    high[lane] = v > high[lane] ? v : high[lane];
  };
  const std::size_t whole = values.size() / lanes * lanes;
  for (std::size_t i = 0; i < whole; i += lanes)
    for (std::size_t lane = 0; lane < lanes; ++lane) look_at(values[i + lane], lane);
  for (std::size_t i = whole; i < values.size(); ++i) look_at(values[i], i - whole);
  Extremes<T> all{low[0], high[0]};
  for (std::size_t lane = 1; lane < lanes; ++lane)
    all = joined(all, Extremes<T>{low[lane], high[lane]});
  return all;
}

/// The range between two numbers for codes of 1..16 bits. Scale is 0 if they are equal, or too
/// close to be divided.
template <std::floating_point T>
Range<T> range_between(const Extremes<T>& ends, int bits) {
  constexpr T most = std::numeric_limits<T>::max();
  const T top = top_code<T>(bits), span = ends.high - ends.low;
  if (span <= most) return {ends.low, span / top >= least_scale<T> ? span / top : T{0}};
  // The span overflows: its half does not. With one bit neither does half the scale, but the
  // scale itself: the largest one, around the middle, is never farther off than half of it.
  const T half = ends.high * T{0.5} - ends.low * T{0.5};
  if (bits > 1) return {ends.low, half / top * T{2}};
  return {(ends.high * T{0.5} + ends.low * T{0.5}) - most * T{0.5}, most};
}

/// floor(place + u) for a draw u in [0, 1): right on average.
template <std::floating_point T>
std::uint16_t rounded_by(double u, T place) {
  const T whole = std::floor(place);
  // u >= 1 - fraction, so that no sum is rounded up to a whole number
  const bool up = u >= 1.0 - static_cast<double>(place - whole);
  return static_cast<std::uint16_t>(static_cast<int>(whole) + (up ? 1 : 0));
}

/// The draw that `draws` would make after `count` others.
inline double draw_after(Rng draws, Index count) {
  draws.position += static_cast<std::uint64_t>(count);
  return draws.uniform();
}

/// Rounds to the nearest code.
inline constexpr auto to_nearest = [](auto place, std::size_t) { return half_even(place); };

/// The codes of a group whose scale is not 0. `round(place, i)` makes a code of the place of value
/// i, a number in [0, 2^bits - 1].
template <std::floating_point T, class Round>
void quantise(std::span<const T> values, const Range<T>& range, int bits, std::uint16_t* codes,
              const Round& round) {
  const T top = top_code<T>(bits);
  const auto run = [&](auto wide) {
    for (std::size_t i = 0; i < values.size(); ++i)
      codes[i] = round(place_in<wide.value>(range, values[i], top), i);
  };
  is_wide(range, top) ? run(std::true_type{}) : run(std::false_type{});
}

/// The values of a group: the values of its codes, or `low` everywhere if it has none.
template <std::floating_point T>
void dequantise(const std::uint16_t* codes, const Range<T>& range, int bits, std::span<T> values) {
  if (range.scale == T{0}) {
    std::fill(values.begin(), values.end(), range.low);
    return;
  }
  const auto run = [&](auto wide) {
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = value_of<wide.value>(range, codes[i]);
  };
  is_wide(range, top_code<T>(bits)) ? run(std::true_type{}) : run(std::false_type{});
}

/// Writes a range: low and scale, of the element type.
template <std::floating_point T>
void put_range(ByteWriter& writer, const Range<T>& range) {
  writer.put(range.low);
  writer.put(range.scale);
}

/// Reads a range that put_range wrote.
///
/// Errors  WireError: truncated, not_finite, or malformed for a negative scale.
template <std::floating_point T>
Range<T> get_range(ByteReader& reader) {
  const T low = reader.get<T>(), scale = reader.get<T>();
  if (!std::isfinite(low) || !std::isfinite(scale))
    reader.refuse(Reason::not_finite, {"NaN or infinity in a range"});
  if (scale < T{0}) reader.refuse(Reason::malformed, {"a range with negative scale"});
  return {flush_tiny(low), flush_tiny(scale)};
}

}  // namespace splitvit::inline SPLITVIT_BUILD::codec::detail
