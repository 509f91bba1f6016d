// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // min
#include <array>        // array
#include <concepts>     // integral
#include <cstddef>      // size_t
#include <optional>     // optional
#include <stdexcept>    // invalid_argument
#include <string>       // string
#include <string_view>  // string_view
#include <vector>       // vector

#include <splitvit/core/text.hpp>  // Named, number_from

// StageText: one stage as people write it, "select:0.3:score=norm", taken apart.

namespace splitvit::compress {

/// Reads name, number and options. Whoever has asked for all options that there are calls
/// finish(), which complains about any other.
///
/// Errors  std::invalid_argument, from every function, with the text and what is possible.
class StageText {
 public:
  /// For complaints: `possible` lists all stages, `reader` is the function that reads them.
  StageText(std::string_view text, std::string_view possible,
            std::string_view reader = "parse_stage")
      : text_{text}, possible_{possible}, reader_{reader} {
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find(':', begin), text.size());
      parts_.push_back({text.substr(begin, end - begin)});
      begin = end + 1;
    }
    parts_[0].used = true;
  }

  std::string_view name() const { return parts_[0].text; }

  [[noreturn]] void fail(const std::string& why) const {
    throw std::invalid_argument(std::string{reader_} + ": '" + std::string{text_} + "' " + why);
  }
  [[noreturn]] void fail_as_a_whole(const std::string& why) const {
    fail(why + "; possible are " + std::string{possible_});
  }

  /// The number behind the name.
  double ratio() {
    if (parts_.size() < 2) fail_as_a_whole("needs a number");
    parts_[1].used = true;
    const auto number = number_from<double>(parts_[1].text);
    if (!number) fail_as_a_whole("has no number after ':'");
    if (!(*number > 0 && *number <= 1)) fail_as_a_whole("has a number outside (0, 1]");
    return *number;
  }

  /// Sets `value` if the option is there: to one of several.
  template <class Value, std::size_t n>
  void option(std::string_view name, Value& value, const std::array<Named<Value>, n>& names) {
    const auto given = find(name);
    if (!given) return;
    std::string all;
    for (const Named<Value>& named : names) {
      if (named.name == *given) {
        value = named.value;
        return;
      }
      all += (all.empty() ? "" : ", ") + std::string{named.name};
    }
    fail("has " + std::string{name} + "=" + std::string{*given} + "; possible are " + all);
  }
  void option(std::string_view name, bool& value) { option(name, value, yes_or_no); }
  /// To a number that is at least `least`.
  template <class Number>
  void option(std::string_view name, Number& value, int least) {
    const auto given = find(name);
    if (!given) return;
    const auto number = number_from<Number>(*given);
    if (!number || !(*number >= static_cast<Number>(least)))
      fail("has " + std::string{name} + "=" + std::string{*given} + "; wanted a " +
           (std::integral<Number> ? "whole " : "") + "number, at least " + std::to_string(least));
    value = *number;
  }

  /// Errors  also if an option is there that nobody asked for, or twice.
  void finish() const {
    for (const Part& part : parts_) {
      if (part.used) continue;
      std::string known;
      for (const std::string& name : known_) known += (known.empty() ? "" : ", ") + name;
      fail("cannot have '" + std::string{part.text} + "'; " + std::string{name()} + " takes " +
           (known.empty() ? "no options" : "each once, as name=value, " + known));
    }
  }

 private:
  struct Part {
    std::string_view text;
    bool used = false;
  };

  /// The value of an option.
  std::optional<std::string_view> find(std::string_view name) {
    known_.emplace_back(name);
    for (Part& part : parts_) {
      if (part.text.substr(0, part.text.find('=')) != name) continue;
      if (part.text.size() == name.size()) continue;  // no '='
      part.used = true;
      return part.text.substr(name.size() + 1);
    }
    return {};
  }

  std::string_view text_;
  std::string_view possible_;
  std::string_view reader_;
  std::vector<Part> parts_;
  std::vector<std::string> known_;
};

}  // namespace splitvit::compress
