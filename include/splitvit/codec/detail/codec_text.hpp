// SPDX-License-Identifier: MIT
#pragma once

#include <array>        // array
#include <cstddef>      // size_t
#include <optional>     // optional
#include <stdexcept>    // invalid_argument
#include <string>       // string, to_string
#include <string_view>  // string_view
#include <utility>      // pair
#include <vector>       // vector

#include <splitvit/core/shape.hpp>  // Index
#include <splitvit/core/text.hpp>   // exact_text, Named, number_from

// CodecText: one codec as people write it, "topk:0.1,values=float16", taken apart.

namespace splitvit::codec::detail {

/// Numbers that an option may have.
struct Interval {
  double low;
  double high;
  bool without_low = false;
  bool without_high = false;

  bool contains(double x) const {
    return (without_low ? x > low : x >= low) && (without_high ? x < high : x <= high);
  }
  std::string text() const {
    return (without_low ? "(" : "[") + exact_text(low) + ", " + exact_text(high) +
           (without_high ? ")" : "]");
  }
};

/// Where `mark` stands outside of parentheses, first; npos if nowhere.
/// Errors  std::invalid_argument for parentheses without counterpart.
inline std::size_t find_outside(std::string_view text, char mark) {
  std::size_t found = std::string_view::npos;
  int depth = 0;
  for (std::size_t i = 0; i < text.size() && depth >= 0; ++i) {
    if (text[i] == mark && depth == 0 && found == std::string_view::npos) found = i;
    depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
  }
  if (depth != 0)
    throw std::invalid_argument("parse_codec: '" + std::string{text} +
                                "' has a parenthesis without counterpart");
  return found;
}

/// Reads the name, the value behind it and the options. Whoever has asked for all options that
/// there are calls finish(), which complains about any other.
///
///   name[:value][,option=value]...     or     name(value)[,option=value]...
///
/// A value may be put in parentheses, and must be if it has a comma or a slash.
///
/// Errors  std::invalid_argument, from every function, naming the text, what is wrong with it,
///         and what is possible.
class CodecText {
 public:
  explicit CodecText(std::string_view text) : text_{text} {
    for (bool first = true;; first = false) {
      const std::size_t comma = find_outside(text, ',');
      const std::string_view part = text.substr(0, comma);
      first ? take_head(part) : take_option(part);
      if (comma == std::string_view::npos) return;
      text = text.substr(comma + 1);
    }
  }

  std::string_view name() const { return name_; }
  /// How to write this codec, for complaints from now on.
  void set_usage(std::string_view usage) { usage_ = usage; }

  /// The value of an option if it is there; "" asks for the value behind the name.
  std::optional<std::string_view> value(std::string_view option) {
    for (Part& part : parts_)
      if (part.name == option) {
        part.used = true;
        return part.value;
      }
    return {};
  }

  Index whole(std::string_view option, Index otherwise, Index low, Index high) {
    const auto given = value(option);
    if (!given) return otherwise;
    const auto number = number_from<Index>(*given);
    if (!number || *number < low || *number > high)
      fail("has " + shown(option) + "'" + std::string{*given} + "', wanted a whole number from " +
           std::to_string(low) + " to " + std::to_string(high));
    return *number;
  }

  double real(std::string_view option, double otherwise, const Interval& possible) {
    const auto given = value(option);
    if (!given) return otherwise;
    const auto number = number_from<double>(*given);
    if (!number || !possible.contains(*number))
      fail("has " + shown(option) + "'" + std::string{*given} + "', wanted a number in " +
           possible.text());
    return *number;
  }

  /// Two whole numbers as in "14x14"; nothing if the option is not there.
  std::optional<std::pair<Index, Index>> extents(std::string_view option) {
    const auto given = value(option);
    if (!given) return {};
    const std::size_t mark = given->find('x');
    const auto first = number_from<Index>(given->substr(0, mark));
    const auto second = number_from<Index>(mark == given->npos ? "" : given->substr(mark + 1));
    if (!first || !second || *first < 1 || *second < 1 || *first > 65536 || *second > 65536)
      fail("has " + shown(option) + "'" + std::string{*given} +
           "', wanted two whole numbers from 1 to 65536, as in 14x14");
    return std::pair{*first, *second};
  }

  template <class Value, std::size_t n>
  Value choice(std::string_view option, Value otherwise, const std::array<Named<Value>, n>& names) {
    const auto given = value(option);
    if (!given) return otherwise;
    std::string all;
    for (const Named<Value>& named : names) {
      if (named.name == *given) return named.value;
      all += (all.empty() ? "" : ", ") + std::string{named.name};
    }
    fail("has " + shown(option) + "'" + std::string{*given} + "'; possible are " + all);
  }
  bool choice(std::string_view option, bool otherwise) {
    return choice(option, otherwise, yes_or_no);
  }

  void finish() const {
    for (const Part& part : parts_)
      if (!part.used)
        fail(part.name.empty() ? "takes no value behind its name"
                               : "has an option '" + std::string{part.name} +
                                     "' that it does not take, or has it twice");
  }

  [[noreturn]] void fail(const std::string& why) const {
    throw std::invalid_argument("parse_codec: '" + std::string{text_} + "' " + why +
                                (usage_.empty() ? "" : "; it is written " + std::string{usage_}));
  }

 private:
  struct Part {
    std::string_view name;  // "" for the value behind the codec's name
    std::string_view value;
    bool used = false;
  };

  void take_head(std::string_view head) {
    const std::size_t end = head.find_first_of(":(");
    name_ = head.substr(0, end);
    if (end == std::string_view::npos) return;
    add("", head.substr(head[end] == ':' ? end + 1 : end));
  }

  void take_option(std::string_view option) {
    const std::size_t equals = option.find('=');
    if (equals == std::string_view::npos || equals == 0)
      fail("has '" + std::string{option} + "', wanted option=value");
    add(option.substr(0, equals), option.substr(equals + 1));
  }

  /// Takes off parentheses around the whole value.
  void add(std::string_view option, std::string_view given) {
    if (given.starts_with('(')) {
      if (!given.ends_with(')')) fail("has text behind a parenthesis");
      given = given.substr(1, given.size() - 2);
      find_outside(given, ',');  // refuses "(a)(b)"
    }
    if (given.empty()) fail("has " + shown(option) + "no value");
    parts_.push_back({option, given});
  }

  static std::string shown(std::string_view option) {
    return option.empty() ? "" : std::string{option} + " ";
  }

  std::string_view text_;
  std::string_view name_;
  std::string_view usage_;
  std::vector<Part> parts_;
};

}  // namespace splitvit::codec::detail
