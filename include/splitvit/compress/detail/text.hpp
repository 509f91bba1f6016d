// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>  // to_chars
#include <string>    // string

// Numbers for descriptions: equal numbers, and only those, give equal texts.

namespace splitvit::compress::detail {

/// The shortest text that reads back as the same number.
template <class Number>
std::string exact_text(Number value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace splitvit::compress::detail
