// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>     // min
#include <charconv>      // chars_format, to_chars
#include <cmath>         // abs, isfinite, llround
#include <system_error>  // errc

#include <splitvit/core/text.hpp>  // exact_text
#include <splitvit/core/utf8.hpp>  // CodePoint, first_code_point, replace_characters

// Numbers and names as text, for programs, terminals, HTML and SVG. Nothing depends on the locale.

namespace splitvit::inline SPLITVIT_BUILD::report {

/// What stands where there is no number: an en dash.
inline constexpr std::string_view no_number = "\xE2\x80\x93";

/// The fewest digits that read back as the same number; empty if it is not finite.
inline std::string shortest(double value) {
  return std::isfinite(value) ? exact_text(value) : std::string{};
}

namespace detail {
inline std::string digits_of(double value, std::chars_format format, int digits) {
  std::array<char, 400> buffer;  // the largest double has 309 digits before the point
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format, digits);
  return error == std::errc{} ? std::string{buffer.data(), end} : exact_text(value);
}

/// Without zeros at the end: "1.50" becomes "1.5", "2.0" becomes "2".
inline std::string trimmed(std::string text) {
  if (text.find('.') == std::string::npos) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

/// The number and the binary unit in which at most four digits stand before the point.
inline std::pair<double, std::string_view> in_byte_unit(double bytes) {
  constexpr std::array<std::string_view, 7> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  std::size_t k = 0;
  for (; std::abs(bytes) >= 1023.5 && k + 1 < units.size(); ++k) bytes /= 1024;
  return {bytes, units[k]};
}

inline bool is_control(char32_t c) { return c < 0x20 || (c >= 0x7F && c < 0xA0); }

/// The common blocks of Unicode's annex 11; enough for names of methods and settings.
inline std::size_t columns_of(char32_t c) {
  // The first and the last of one range after the other.
  static constexpr std::array<char32_t, 12> none{0x0300, 0x036F, 0x1AB0, 0x1AFF, 0x200B, 0x200F,
                                                 0x20D0, 0x20FF, 0xFE00, 0xFE0F, 0xFEFF, 0xFEFF};
  static constexpr std::array<char32_t, 18> wide{
      0x1100, 0x115F, 0x2E80, 0xA4CF, 0xAC00, 0xD7A3,  0xF900,  0xFAFF,  0xFE30,
      0xFE6F, 0xFF00, 0xFF60, 0xFFE0, 0xFFE6, 0x1F300, 0x1FAFF, 0x20000, 0x3FFFD};
  const auto in = [c](std::span<const char32_t> ends) {
    bool inside = false;
    for (std::size_t i = 0; i < ends.size(); i += 2)
      inside = inside || (c >= ends[i] && c <= ends[i + 1]);
    return inside;
  };
  if (is_control(c) || in(none)) return 0;
  return in(wide) ? 2 : 1;
}
}  // namespace detail

/// With that many digits after the point; `no_number` if it is not finite.
inline std::string fixed(double value, int decimals) {
  if (!std::isfinite(value)) return std::string{no_number};
  std::string text = detail::digits_of(value, std::chars_format::fixed, decimals);
  const bool negative_zero = text[0] == '-' && text.find_first_not_of("-0.") == std::string::npos;
  return negative_zero ? text.substr(1) : text;
}

/// Bytes in binary units with three digits or more: "1.18 MiB", "118 MiB", "1010 KiB", "96 B".
template <class Number>
  requires std::is_arithmetic_v<Number>
std::string human_bytes(Number bytes) {
  const auto [value, unit] = detail::in_byte_unit(static_cast<double>(bytes));
  if (!std::isfinite(value)) return std::string{no_number};
  const double size = std::abs(value);
  const int decimals = unit == "B" || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return fixed(value, decimals) + " " + std::string{unit};
}

/// "85 ms", "4.2 s", "1 min 15 s", "1 h 02 min", "2 d 03 h". Negative counts as 0.
inline std::string human_seconds(double seconds) {
  if (!std::isfinite(seconds)) return std::string{no_number};
  if (seconds <= 0) return "0 s";
  if (seconds < 0.0095) return detail::trimmed(fixed(seconds * 1e3, 2)) + " ms";
  if (seconds < 0.9995) return fixed(seconds * 1e3, 0) + " ms";
  if (seconds < 59.95) return fixed(seconds, 1) + " s";
  if (seconds > 1e15) return shortest(seconds) + " s";  // too large for whole numbers
  const auto in_two_units = [](std::uint64_t n, std::uint64_t ratio, const char* large,
                               const char* small) {
    return std::to_string(n / ratio) + large + (n % ratio < 10 ? "0" : "") +
           std::to_string(n % ratio) + small;
  };
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  if (whole < 3600) return in_two_units(whole, 60, " min ", " s");
  const std::uint64_t minutes = (whole + 30) / 60;
  if (minutes < 24 * 60) return in_two_units(minutes, 60, " h ", " min");
  return in_two_units((minutes + 30) / 60, 24, " d ", " h");
}

/// A fraction in percent: percent(0.963) is "96.3 %".
inline std::string percent(double fraction, int decimals = 1) {
  if (!std::isfinite(fraction)) return std::string{no_number};
  return fixed(100 * fraction, decimals) + " %";
}

/// How many terminal columns a text takes: 0 for combining marks, 2 for East Asian wide ones.
inline std::size_t columns(std::string_view text) {
  std::size_t total = 0;
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    total += detail::columns_of(c.value);
    text.remove_prefix(c.bytes);
  }
  return total;
}

/// The text as valid UTF-8 on one line: control characters become spaces, bad bytes U+FFFD.
inline std::string one_line(std::string_view text) {
  return replace_characters(
      text, [](char32_t c) -> std::string_view { return detail::is_control(c) ? " " : ""; });
}

/// The text as content or as an attribute's value in quotes. What XML does not allow becomes
/// U+FFFD.
inline std::string escape_markup(std::string_view text) {
  return replace_characters(text, [](char32_t c) -> std::string_view {
    if (c == '&') return "&amp;";
    if (c == '<') return "&lt;";
    if (c == '>') return "&gt;";
    if (c == '"') return "&quot;";
    if (c == '\'') return "&#39;";
    const bool space = c == '\t' || c == '\n' || c == '\r';
    const bool allowed = space || (!detail::is_control(c) && c != 0xFFFE && c != 0xFFFF);
    return allowed ? "" : replacement_character;
  });
}

/// At most `limit` columns of the text, ending in an ellipsis where something was left out.
inline std::string shorten(std::string_view text, std::size_t limit) {
  if (columns(text) <= limit) return std::string{text};
  if (limit == 0) return {};
  std::string out;
  std::size_t used = 1;  // the ellipsis
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    used += detail::columns_of(c.value);
    if (used > limit) break;
    out += text.substr(0, c.bytes);
    text.remove_prefix(c.bytes);
  }
  return out + "\xE2\x80\xA6";
}

/// The text in pieces of at most `limit` columns, at least one of them.
inline std::vector<std::string> broken(std::string_view text, std::size_t limit) {
  std::vector<std::string> pieces(1);
  std::size_t used = 0;
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    used += detail::columns_of(c.value);
    if (used > limit && !pieces.back().empty()) {
      pieces.emplace_back();
      used = detail::columns_of(c.value);
    }
    pieces.back() += text.substr(0, c.bytes);
    text.remove_prefix(c.bytes);
  }
  return pieces;
}

/// The spaces that a text needs to take `width` columns.
inline std::string padding(std::string_view text, std::size_t width) {
  return std::string(width - std::min(width, columns(text)), ' ');
}

}  // namespace splitvit::inline SPLITVIT_BUILD::report
