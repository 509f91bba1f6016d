// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min
#include <charconv>   // chars_format
#include <cmath>      // abs, ceil, exp2, floor, fmod, isfinite, log10, log2, pow

#include <splitvit/report/format.hpp>  // digits_of, fixed, in_byte_unit, trimmed

// Where the marks of an axis lie and what is written at them.

namespace splitvit::inline SPLITVIT_BUILD::report {

/// What an axis counts.
enum class Unit {
  number,
  count,    ///< whole numbers, such as epochs
  percent,  ///< a fraction, written in percent
  bytes,
  seconds,
};

struct Tick {
  double at = 0;
  std::string label;
};

namespace detail {
inline constexpr double minute = 60, hour = 3600, day = 86400;  // in seconds

/// The smallest of 1, 2, 5 times a power of ten that is at least `rough`.
inline double one_two_five(double rough) {
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= rough * 0.999) return factor * power;
  return 10 * power;
}

inline double time_step(double rough) {
  if (rough <= 0.5) return one_two_five(rough);
  for (const double unit : {1.0, minute})
    for (const double step : {1, 2, 5, 10, 15, 30})
      if (step * unit >= rough * 0.999) return step * unit;
  for (const double step : {hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour, day, 2 * day})
    if (step >= rough * 0.999) return step;
  return day * one_two_five(rough / day);
}

/// Short and exact enough for marks `step` apart.
inline std::string number_label(double value, double step) {
  const double size = std::max(std::abs(value), step);
  if (size >= 1e15 || size < 1e-4)
    return value == 0 ? "0" : digits_of(value, std::chars_format::general, 3);
  constexpr std::array<const char*, 5> units{"", "k", "M", "G", "T"};
  std::size_t k = 0;
  if (size >= 1e4)
    for (; k + 1 < units.size() && std::abs(value) >= 1000; ++k) {
      value /= 1000;
      step /= 1000;
    }
  const int decimals = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
  const std::string text = fixed(value, std::min(decimals, 9));
  return (k > 0 ? trimmed(text) : text) + units[k];
}

inline std::string seconds_label(double value, double step) {
  const auto in = [value](double unit, int decimals) {
    return trimmed(fixed(value / unit, decimals));
  };
  if (value == 0) return "0";
  if (step >= day) return in(day, 1) + " d";
  if (step >= hour || (step >= 600 && value >= hour && std::fmod(value, hour) == 0))
    return in(hour, 1) + " h";
  if (step >= minute) return in(minute, 1) + " min";
  if (step < 0.1) return trimmed(fixed(value * 1000, step < 0.001 ? 3 : 0)) + " ms";
  return in(1, 2) + " s";
}

inline std::string tick_label(double value, double step, Unit unit) {
  if (unit == Unit::percent) return number_label(100 * value, 100 * step) + " %";
  if (unit == Unit::seconds) return seconds_label(value, step);
  if (unit != Unit::bytes) return number_label(value, step);
  const auto [size, name] = in_byte_unit(value);
  return trimmed(fixed(size, 2)) + " " + std::string{name};
}
}  // namespace detail

/// A distance between marks that gives about `about` of them on [low, high]: 1-2-5 for plain
/// numbers, powers of two for bytes, minutes and hours for time.
inline double nice_step(double low, double high, Unit unit, int about = 5) {
  const double rough = (high - low) / std::max(1, about);
  if (!std::isfinite(rough) || rough <= 0) return 1;
  if (unit == Unit::bytes) return std::max(1.0, std::exp2(std::ceil(std::log2(rough) - 0.01)));
  if (unit == Unit::seconds) return detail::time_step(rough);
  const double step = detail::one_two_five(rough);
  return unit == Unit::count ? std::max(1.0, step) : step;
}

/// Marks on [low, high] in equal distances.
inline std::vector<Tick> linear_ticks(double low, double high, Unit unit, int about = 5) {
  const double step = nice_step(low, high, unit, about);
  std::vector<Tick> ticks;
  const double first = std::ceil(low / step - 1e-6);
  for (int i = 0; i <= 10 * std::max(1, about); ++i) {
    const double at = (first + i) * step;
    if (!(at <= high + 1e-6 * step)) break;
    ticks.push_back({at, detail::tick_label(at, step, unit)});
  }
  return ticks;
}

/// Marks on [low, high], low > 0, for a logarithmic axis: at equal ratios; at equal distances
/// where the range is less than a factor of four.
inline std::vector<Tick> log_ticks(double low, double high, Unit unit, int about = 5) {
  if (!(low > 0) || !(high >= low) || !std::isfinite(high)) return {};
  if (high < 4 * low) return linear_ticks(low, high, unit, about);
  std::vector<Tick> ticks;
  const auto mark = [&](double at, double step) {
    ticks.push_back({at, detail::tick_label(at, step, unit)});
  };
  if (unit == Unit::bytes) {
    const double rough = std::log2(high / low) / std::max(1, about);
    double bits = 10 * std::max(1.0, std::ceil(rough / 10));
    for (const double candidate : {5.0, 2.0, 1.0})
      if (candidate >= rough) bits = candidate;
    const double last = std::log2(high) + 1e-9;
    for (double k = std::ceil(std::log2(low) / bits - 1e-9); k * bits <= last; ++k)
      mark(std::exp2(k * bits), 1);
    return ticks;
  }
  const double decades = std::log10(high / low);
  const double stride = std::max(1.0, std::ceil(decades / std::max(1, about)));
  for (double k = std::floor(std::log10(low)); k <= std::log10(high); k += stride)
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (factor > 1 && 3 * decades > 1.2 * about) continue;
      const double at = factor * std::pow(10.0, k);
      if (at >= low * (1 - 1e-9) && at <= high * (1 + 1e-9)) mark(at, at);
    }
  return ticks;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::report
