// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // any_of
#include <array>        // array
#include <cstddef>      // size_t
#include <string>       // string
#include <string_view>  // string_view

// Text as people see it: characters instead of bytes, and the columns they take in a terminal.

namespace splitvit::report {

/// A character and how many bytes of the text it takes.
struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 0;
  bool valid = true;  ///< otherwise one bad byte, shown as U+FFFD
};

/// The first character of a text that is not empty. Overlong forms, surrogates and cut
/// sequences are not valid.
CodePoint first_code_point(std::string_view text);

/// How many terminal columns a text takes: 0 for combining marks, 2 for East Asian wide ones.
std::size_t columns(std::string_view text);

/// The text as valid UTF-8 on one line: control characters become spaces, bad bytes U+FFFD.
/// Names from outside then cannot move the cursor or break a row.
std::string one_line(std::string_view text);

/// At most `limit` columns of the text, ending in an ellipsis where something was left out.
std::string shorten(std::string_view text, std::size_t limit);

/// The text with spaces before it, or after it, so that it takes `width` columns at least.
std::string pad_left(std::string_view text, std::size_t width);
std::string pad_right(std::string_view text, std::size_t width);

inline constexpr std::string_view replacement_character = "\xEF\xBF\xBD";  // U+FFFD

inline CodePoint first_code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const CodePoint bad{0xFFFD, 1, false};
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return bad;
  char32_t value = lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0u) != 0x80u) return bad;
    value = (value << 6) | (byte(i) & 0x3Fu);
  }
  constexpr std::array<char32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < smallest[length] || value > 0x10FFFF || surrogate) return bad;
  return {value, length, true};
}

namespace detail {

struct CodeRange {
  char32_t first, last;
};

template <std::size_t n>
bool lies_in(const std::array<CodeRange, n>& ranges, char32_t c) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [c](CodeRange range) { return c >= range.first && c <= range.last; });
}

inline bool is_control(char32_t c) { return c < 0x20 || (c >= 0x7F && c < 0xA0); }

/// The common blocks of Unicode's annex 11; enough for names of methods and settings.
inline std::size_t columns_of(char32_t c) {
  constexpr std::array<CodeRange, 6> none{{{0x0300, 0x036F},
                                           {0x1AB0, 0x1AFF},
                                           {0x200B, 0x200F},
                                           {0x20D0, 0x20FF},
                                           {0xFE00, 0xFE0F},
                                           {0xFEFF, 0xFEFF}}};
  constexpr std::array<CodeRange, 9> wide{{{0x1100, 0x115F},
                                           {0x2E80, 0xA4CF},
                                           {0xAC00, 0xD7A3},
                                           {0xF900, 0xFAFF},
                                           {0xFE30, 0xFE6F},
                                           {0xFF00, 0xFF60},
                                           {0xFFE0, 0xFFE6},
                                           {0x1F300, 0x1FAFF},
                                           {0x20000, 0x3FFFD}}};
  if (is_control(c) || lies_in(none, c)) return 0;
  return lies_in(wide, c) ? 2 : 1;
}

}  // namespace detail

inline std::size_t columns(std::string_view text) {
  std::size_t total = 0;
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    total += detail::columns_of(c.value);
    text.remove_prefix(c.bytes);
  }
  return total;
}

inline std::string one_line(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    if (!c.valid)
      out += replacement_character;
    else if (detail::is_control(c.value))
      out += ' ';
    else
      out += text.substr(0, c.bytes);
    text.remove_prefix(c.bytes);
  }
  return out;
}

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

inline std::string pad_left(std::string_view text, std::size_t width) {
  const std::size_t taken = columns(text);
  return std::string(width > taken ? width - taken : 0, ' ') + std::string{text};
}

inline std::string pad_right(std::string_view text, std::size_t width) {
  const std::size_t taken = columns(text);
  return std::string{text} + std::string(width > taken ? width - taken : 0, ' ');
}

}  // namespace splitvit::report
