// SPDX-License-Identifier: MIT
#pragma once

#include <array>         // array
#include <charconv>      // to_chars
#include <cmath>         // abs, isfinite, llround
#include <cstddef>       // size_t
#include <cstdint>       // uint64_t
#include <string>        // string, to_string
#include <string_view>   // string_view
#include <system_error>  // errc

// Numbers as text: for programs (shortest) and for people (units). No locale has a say in it:
// the decimal sign is always a point, and nothing groups thousands.

namespace splitvit::report {

/// What stands where there is no number: an en dash.
inline constexpr std::string_view no_number = "\xE2\x80\x93";

/// The fewest digits that read back as the same number; empty if it is not finite.
std::string shortest(double value);

/// With that many digits after the point; `no_number` if it is not finite.
std::string fixed(double value, int decimals);

/// Bytes in binary units with three digits or more: "1.18 MiB", "118 MiB", "1010 KiB", "96 B".
std::string human_bytes(double bytes);

/// "85 ms", "4.2 s", "1 min 15 s", "1 h 02 min", "2 d 03 h". Negative counts as 0.
std::string human_seconds(double seconds);

/// A fraction in percent: percent(0.963) is "96.3 %".
std::string percent(double fraction, int decimals = 1);

inline std::string shortest(double value) {
  if (!std::isfinite(value)) return {};
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return {buffer.data(), end};
}

inline std::string fixed(double value, int decimals) {
  if (!std::isfinite(value)) return std::string{no_number};
  std::array<char, 400> buffer;  // the largest double has 309 digits before the point
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                          std::chars_format::fixed, decimals);
  if (error != std::errc{}) return shortest(value);
  std::string text{buffer.data(), end};
  if (text[0] == '-' && text.find_first_not_of("-0.") == std::string::npos)
    text.erase(0, 1);  // no negative zero
  return text;
}

namespace detail {

/// Without zeros at the end: "1.50" becomes "1.5", "2.0" becomes "2".
inline std::string trimmed(std::string text) {
  if (text.find('.') == std::string::npos) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

/// That many digits, with an exponent where it is shorter: "3e-09".
inline std::string significant(double value, int digits) {
  std::array<char, 64> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::general, digits)
                       .ptr;
  return {buffer.data(), end};
}

struct InUnit {
  double value;
  std::string_view unit;
};

/// The binary unit in which at most four digits stand before the point.
inline InUnit in_byte_unit(double bytes) {
  constexpr std::array<std::string_view, 7> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  std::size_t k = 0;
  while (std::abs(bytes) >= 1023.5 && k + 1 < units.size()) {
    bytes /= 1024;
    ++k;
  }
  return {bytes, units[k]};
}

inline std::string two_digits(std::uint64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); }

}  // namespace detail

inline std::string human_bytes(double bytes) {
  if (!std::isfinite(bytes)) return std::string{no_number};
  const auto [value, unit] = detail::in_byte_unit(bytes);
  const double size = std::abs(value);
  const int decimals = unit == "B" || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return fixed(value, decimals) + " " + std::string{unit};
}

inline std::string human_seconds(double seconds) {
  if (!std::isfinite(seconds)) return std::string{no_number};
  if (seconds <= 0) return "0 s";
  if (seconds < 0.0095) return detail::trimmed(fixed(seconds * 1e3, 2)) + " ms";
  if (seconds < 0.9995) return fixed(seconds * 1e3, 0) + " ms";
  if (seconds < 59.95) return fixed(seconds, 1) + " s";
  if (seconds > 1e15) return shortest(seconds) + " s";  // nobody waits for that
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  if (whole < 3600)
    return std::to_string(whole / 60) + " min " + detail::two_digits(whole % 60) + " s";
  const std::uint64_t minutes = (whole + 30) / 60;
  if (minutes < 24 * 60)
    return std::to_string(minutes / 60) + " h " + detail::two_digits(minutes % 60) + " min";
  const std::uint64_t hours = (minutes + 30) / 60;
  return std::to_string(hours / 24) + " d " + detail::two_digits(hours % 24) + " h";
}

inline std::string percent(double fraction, int decimals) {
  if (!std::isfinite(fraction)) return std::string{no_number};
  return fixed(100 * fraction, decimals) + " %";
}

}  // namespace splitvit::report
