// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>    // integral
#include <cstdint>     // int64_t
#include <functional>  // function
#include <map>         // map
#include <optional>    // optional
#include <string>      // string
#include <utility>     // move, pair
#include <vector>      // vector

#include <CLI/CLI.hpp>

#include <splitvit/core/error.hpp>     // joined
#include <splitvit/core/text.hpp>      // number_from
#include <splitvit/report/format.hpp>  // shortest
#include <splitvit/report/run.hpp>     // Setting

#include "split_train/options.hpp"  // UsageError

// Options by kind: how a value is read, in which range it must be, and what it is in the end.

namespace split_train {

/// Numbers above `least`, or from it on, and below `most`.
struct Between {
  std::int64_t least = 0, most = 0;
  bool with_least = false;
};

/// Adds options to an application of CLI11. Names are as there: the first one counts, the others
/// are synonyms. A value that does not fit is a UsageError with the option, what came and what is
/// wanted.
class OptionList {
 public:
  explicit OptionList(CLI::App& app) : app_{&app} {}

  CLI::Option* text(const std::string& names, std::string& value, const std::string& help) {
    return add(names, "TEXT", help, value, [](const std::string& came) { return came; });
  }

  /// One of some words, each with its value.
  template <class Value>
  CLI::Option* choice(const std::string& names, Value& value,
                      std::vector<std::pair<std::string, Value>> words, const std::string& help) {
    std::string all;
    for (const auto& [word, one] : words) all += (all.empty() ? "" : "|") + word;
    auto* const option = add(names, all, help, value, [=](const std::string& came) {
      for (const auto& [word, one] : words)
        if (word == came) return one;
      refuse(names, came, all);
    });
    remember(names, [=, &value] {
      for (const auto& [word, one] : words)
        if (one == value) return word;
      return std::string{};
    });
    return option;
  }

  /// A whole number, in decimal digits.
  template <class Value>
  CLI::Option* whole(const std::string& names, Value& value, std::int64_t least, std::int64_t most,
                     const std::string& help) {
    return add(names, "N", help, value, [=](const std::string& came) {
      return static_cast<typename Number<Value>::type>(whole_from(names, came, least, most));
    });
  }

  /// Several whole numbers.
  template <std::integral Value>
  CLI::Option* whole(const std::string& names, std::vector<Value>& values, std::int64_t least,
                     std::int64_t most, const std::string& help) {
    remember(names, [&values] {
      std::string all;
      for (const Value value : values) all += (all.empty() ? "" : " ") + std::to_string(value);
      return all;
    });
    const auto set = [=, &values](const std::vector<std::string>& all) {
      values.clear();
      for (const std::string& came : all)
        values.push_back(static_cast<Value>(whole_from(names, came, least, most)));
    };
    return app_->add_option_function<std::vector<std::string>>(names, set, help)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->type_name("N");
  }

  /// A number with a point or an exponent, where people want one.
  template <class Value>
  CLI::Option* number(const std::string& names, Value& value, const Between& range,
                      const std::string& help) {
    return add(names, "X", help, value, [=](const std::string& came) {
      const auto read = splitvit::number_from<double>(came);
      const auto least = static_cast<double>(range.least);
      if (!read || !(*read > least || (range.with_least && *read == least)) ||
          !(*read < static_cast<double>(range.most)))
        refuse(
            names, came,
            splitvit::joined({range.with_least ? "a number from " : "a number above ", range.least,
                              range.with_least ? " on and below " : " and below ", range.most}));
      return *read;
    });
  }

  CLI::Option* flag(const std::string& names, bool& value, const std::string& help) {
    remember(names, [&value] { return std::string{value ? "true" : ""}; });
    return app_->add_flag(names, value, help);
  }

  /// Whatever other option there is, by its present text.
  void remember(const std::string& names, std::function<std::string()> text) {
    texts_[first(names)] = std::move(text);
  }

  /// Every option that has a value, given or not, in the words of the command line.
  std::vector<splitvit::report::Setting> effective() const {
    std::vector<splitvit::report::Setting> all;
    for (const CLI::Option* const option : app_->get_options()) {
      if (option->get_lnames().empty()) continue;
      const std::string& name = option->get_lnames().front();
      const auto known = texts_.find(name);
      std::string text = known == texts_.end() ? "" : known->second();
      if (text.empty() && option->count() > 0) text = CLI::detail::join(option->results(), " ");
      if (!text.empty()) all.push_back({name, std::move(text)});
    }
    return all;
  }

  /// Errors  UsageError, always.
  [[noreturn]] static void refuse(const std::string& names, const std::string& came,
                                  const std::string& wanted) {
    throw UsageError("--" + first(names) + " '" + came + "': wanted " + wanted);
  }

 private:
  template <class Value>
  struct Number {
    using type = Value;
  };
  template <class Value>
  struct Number<std::optional<Value>> {
    using type = Value;
  };

  /// The first name, without its dashes.
  static std::string first(const std::string& names) {
    return names.substr(2, names.find(',') - 2);
  }

  static std::int64_t whole_from(const std::string& names, const std::string& came,
                                 std::int64_t least, std::int64_t most) {
    const auto read = splitvit::number_from<std::int64_t>(came);
    if (!read || *read < least || *read > most)
      refuse(names, came, splitvit::joined({"a whole number from ", least, " to ", most}));
    return *read;
  }

  static std::string text_of(const std::string& value) { return value; }
  static std::string text_of(double value) { return splitvit::report::shortest(value); }
  /// Nothing for 0, which stands for a value that is not known here.
  static std::string text_of(std::integral auto value) {
    return value == 0 ? "" : std::to_string(value);
  }
  template <class Value>
  static std::string text_of(const std::optional<Value>& value) {
    return value ? text_of(*value) : "";
  }

  template <class Value>
  CLI::Option* add(const std::string& names, const std::string& type, const std::string& help,
                   Value& value,
                   const std::function<typename Number<Value>::type(const std::string&)>& read) {
    if constexpr (requires { text_of(value); })
      remember(names, [&value] { return text_of(value); });
    const auto set = [&value, read](const std::string& came) { value = read(came); };
    return app_->add_option_function<std::string>(names, set, help)->type_name(type);
  }

  CLI::App* app_;
  std::map<std::string, std::function<std::string()>> texts_;  // by first name
};

}  // namespace split_train
