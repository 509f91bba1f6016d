// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/std.hpp>

namespace splitvit::inline SPLITVIT_BUILD {

/// A character and how many bytes of the text it takes.
struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 0;
  bool valid = true;  ///< otherwise one bad byte, shown as U+FFFD
};

inline constexpr std::string_view replacement_character = "\xEF\xBF\xBD";  // U+FFFD

/// The first character of a text that is not empty. Overlong, cut and surrogate ones are not valid.
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

/// The text with substitute(c), a std::string_view, in place of each character c; a character for
/// which that is empty stays. Bad bytes become U+FFFD.
template <class Substitute>
std::string replace_characters(std::string_view text, const Substitute& substitute) {
  std::string out;
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    const std::string_view other = c.valid ? substitute(c.value) : replacement_character;
    out += other.empty() ? text.substr(0, c.bytes) : other;
    text.remove_prefix(c.bytes);
  }
  return out;
}

/// A text in quotes, as JSON writes it; bytes from 0x7F on are copied.
inline std::string json_quoted(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20) {
      out += {'\\', 'u', '0', '0', digits[code >> 4], digits[code & 15u]};
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + '"';
}

}  // namespace splitvit::inline SPLITVIT_BUILD
