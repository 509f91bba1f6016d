// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // find
#include <cctype>       // isalnum, isalpha, tolower
#include <cstddef>      // size_t
#include <string>       // string
#include <string_view>  // string_view
#include <vector>       // vector

// A small checker of markup as we write it: every element closed in order, attributes in
// double quotes and only once, no stray & or <. Not a parser of other people's HTML.

namespace well_formed {

inline bool good_entity(std::string_view from) {
  for (const std::string_view entity : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"})
    if (from.substr(0, entity.size()) == entity) return true;
  return false;
}

/// What is wrong first, with its surroundings; empty if nothing is.
inline std::string fault(std::string_view text) {
  const std::vector<std::string> empty_elements{"meta", "br", "hr", "link"};
  std::vector<std::string> open;
  const auto at = [&](std::string_view what, std::size_t i) {
    return std::string{what} + " at: " + std::string{text.substr(i, 60)};
  };
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '&') {
      if (!good_entity(text.substr(i))) return at("stray &", i);
      ++i;
      continue;
    }
    if (text[i] == '>') return at("stray >", i);
    if (text[i] != '<') {
      ++i;
      continue;
    }
    const std::size_t begin = i++;
    if (text.substr(i, 8) == "!DOCTYPE") {
      i = text.find('>', i) + 1;
      continue;
    }
    const bool closing = i < text.size() && text[i] == '/';
    if (closing) ++i;
    std::string name;
    while (i < text.size() && std::isalnum(static_cast<unsigned char>(text[i])) != 0)
      name += text[i++];
    if (name.empty()) return at("stray <", begin);
    std::vector<std::string> attributes;
    bool self_closed = false;
    while (i < text.size() && text[i] != '>') {
      if (text[i] == ' ' || text[i] == '\n') {
        ++i;
      } else if (text.substr(i, 2) == "/>") {
        self_closed = true;
        ++i;
      } else {
        const std::size_t equals = text.find("=\"", i);
        if (equals == std::string_view::npos) return at("attribute without value", i);
        const std::string key{text.substr(i, equals - i)};
        if (key.find_first_of(" <>\n") != std::string::npos) return at("bad attribute", i);
        if (std::find(attributes.begin(), attributes.end(), key) != attributes.end())
          return at("attribute twice", i);
        attributes.push_back(key);
        const std::size_t end = text.find('"', equals + 2);
        if (end == std::string_view::npos) return at("quote not closed", i);
        const std::string_view value = text.substr(equals + 2, end - equals - 2);
        for (std::size_t k = 0; k < value.size(); ++k)
          if (value[k] == '<' || (value[k] == '&' && !good_entity(value.substr(k))))
            return at("bad value", i);
        i = end + 1;
      }
    }
    if (i >= text.size()) return at("element not ended", begin);
    ++i;
    if (closing) {
      if (open.empty() || open.back() != name) return at("closes nothing", begin);
      open.pop_back();
    } else if (!self_closed && std::find(empty_elements.begin(), empty_elements.end(), name) ==
                                   empty_elements.end()) {
      open.push_back(name);
      if (name == "style") {  // its content is no markup
        i = text.find("</style>", i);
        if (i == std::string_view::npos) return at("style not closed", begin);
      }
    }
  }
  return open.empty() ? "" : "not closed: " + open.back();
}

/// A word that stands alone, in any case: how numbers that are none would be printed.
inline bool has_word(std::string_view text, std::string_view word) {
  const auto letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
  for (std::size_t i = 0; i + word.size() <= text.size(); ++i) {
    bool same = (i == 0 || !letter(text[i - 1])) &&
                (i + word.size() == text.size() || !letter(text[i + word.size()]));
    for (std::size_t k = 0; same && k < word.size(); ++k)
      same = std::tolower(static_cast<unsigned char>(text[i + k])) == word[k];
    if (same) return true;
  }
  return false;
}

/// Whether only finite numbers were written.
inline bool all_finite(std::string_view text) {
  return !has_word(text, "nan") && !has_word(text, "inf") && !has_word(text, "infinity");
}

inline std::size_t count(std::string_view text, std::string_view part) {
  std::size_t n = 0;
  for (std::size_t i = text.find(part); i != std::string_view::npos; i = text.find(part, i + 1))
    ++n;
  return n;
}

}  // namespace well_formed
