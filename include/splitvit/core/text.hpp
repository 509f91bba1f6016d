// SPDX-License-Identifier: MIT
#pragma once

#include <array>         // array
#include <charconv>      // from_chars, to_chars
#include <cstddef>       // size_t
#include <optional>      // optional
#include <stdexcept>     // invalid_argument
#include <string>        // string
#include <string_view>   // string_view
#include <system_error>  // errc

// Numbers and names as texts: equal values, and only those, give equal texts; and back.

namespace splitvit {

/// The shortest text that reads back as the same number.
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

/// One value of an enumeration, and its name.
template <class Value>
struct Named {
  std::string_view name;
  Value value;
};

/// Errors  std::invalid_argument for a value that has no name.
template <class Value, std::size_t n>
std::string name_of(const std::array<Named<Value>, n>& names, Value value) {
  for (const Named<Value>& named : names)
    if (named.value == value) return std::string{named.name};
  throw std::invalid_argument("name_of: this value of the enumeration has no name");
}

inline constexpr std::array<Named<bool>, 2> yes_or_no{{{"yes", true}, {"no", false}}};

}  // namespace splitvit
