// SPDX-License-Identifier: MIT
#pragma once

#include <string>       // string
#include <string_view>  // string_view

#include <splitvit/report/utf8.hpp>  // first_code_point

// Text inside HTML and SVG.

namespace splitvit::report {

/// The text as content or as the value of an attribute in quotes. What XML does not allow,
/// control characters and bytes that are not UTF-8, becomes U+FFFD.
inline std::string escape_markup(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    const bool space = c.value == '\t' || c.value == '\n' || c.value == '\r';
    if (c.value == '&')
      out += "&amp;";
    else if (c.value == '<')
      out += "&lt;";
    else if (c.value == '>')
      out += "&gt;";
    else if (c.value == '"')
      out += "&quot;";
    else if (c.value == '\'')
      out += "&#39;";
    else if (!c.valid || (detail::is_control(c.value) && !space) || c.value == 0xFFFE ||
             c.value == 0xFFFF)
      out += replacement_character;
    else
      out += text.substr(0, c.bytes);
    text.remove_prefix(c.bytes);
  }
  return out;
}

}  // namespace splitvit::report
