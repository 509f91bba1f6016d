// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>      // from_chars, to_chars
#include <system_error>  // errc

#include <splitvit/core/std.hpp>

namespace splitvit::inline SPLITVIT_BUILD {

/// The shortest text that reads back as the same number; different numbers have different ones.
template <class Number>
std::string exact_text(Number value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

/// The number that the whole text represents; nothing if it is not a number.
template <class Number>
std::optional<Number> number_from(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return number;
}

/// 16 hexadecimal digits, the highest first.
inline std::string hex_text(std::uint64_t value) {
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[value >> shift & 15];
  return text;
}

namespace detail {
inline std::string counted_text(std::string number, std::string_view noun) {
  const char* const ending = number == "1" ? "" : "s";
  return number.append(" ").append(noun).append(ending);
}
}  // namespace detail

/// A count and its noun, whose plural ends in s: "1 file", "2 files".
template <std::integral Count>
std::string counted(Count count, std::string_view noun) {
  return detail::counted_text(std::to_string(count), noun);
}

}  // namespace splitvit::inline SPLITVIT_BUILD
