// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // ranges::find

#include <splitvit/core/error.hpp>    // ArgumentError, joined, TextParts
#include <splitvit/core/options.hpp>  // append_option, Nested, OnePolicy, Required

// The one grammar in which people write policies, such as stages and codecs:
//
//   name[:value][:option=value]...       select:0.3:score=norm    topk:0.1:values=(q:4)
//
// A comma may stand for the colon before an option: q:4,range=tensor. A value may stand in
// parentheses, and must if it has a comma, a slash or options of its own; before such a value the
// colon may be left out: scaled(q:8).
//
// Names, options and what they take come from the policies' lists, see core/options.hpp.

namespace splitvit::inline SPLITVIT_BUILD::spec {

/// Errors  std::invalid_argument, always: the function that reads, the text, and all of `what`.
[[noreturn]] inline void refuse_text(std::string_view reader, std::string_view text,
                                     TextParts what) {
  throw ArgumentError({reader, ": '", text, "' ", joined(what)});
}

/// Where one of `marks` first stands outside of parentheses; npos if nowhere.
/// Errors  std::invalid_argument for parentheses without counterpart.
inline std::size_t find_outside(std::string_view reader, std::string_view text,
                                std::string_view marks) {
  std::size_t found = std::string_view::npos;
  int depth = 0;
  for (std::size_t i = 0; i < text.size() && depth >= 0; ++i) {
    if (depth == 0 && found == std::string_view::npos && marks.find(text[i]) != marks.npos)
      found = i;
    depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
  }
  if (depth != 0) refuse_text(reader, text, {"has a parenthesis without counterpart"});
  return found;
}

template <class Kind>
inline constexpr bool is_required = false;
template <class Kind>
inline constexpr bool is_required<Required<Kind>> = true;

/// One policy as people write it, taken apart.
///
/// Errors  std::invalid_argument naming the part that is wrong and what is possible.
class PolicyText {
 public:
  /// `reader` is the function that reads the text, for errors.
  PolicyText(std::string_view reader, std::string_view text) : reader_{reader}, text_{text} {
    find_outside(reader, text, "");
    const auto take_until = [&](std::size_t end) {
      const std::string_view taken = text.substr(0, end);
      text.remove_prefix(taken.size());
      return taken;
    };
    name_ = take_until(text.find_first_of(":,("));
    while (!text.empty()) {
      const char mark = text.front();
      if (mark != '(') text.remove_prefix(1);
      add(mark, take_until(find_outside(reader, text, ":,")));
    }
    for (Part& part : parts_) part.value = without_parentheses(part.value);
  }

  std::string_view name() const { return name_; }

  /// Errors name it from now on.
  void set_usage(std::string usage) { usage_ = std::move(usage); }

  /// Sets an option if it is there; else to the nearest value that is possible.
  template <class Value, class Kind>
  void read(std::string_view option, Value& value, const Kind& kind, const auto& read_nested) {
    const auto given = std::ranges::find(parts_, option, &Part::option);
    if (given == parts_.end()) {
      if (is_required<Kind>) refuse({"needs a value behind its name: ", kind.wanted()});
      if constexpr (requires { value = kind.nearest(value); }) value = kind.nearest(value);
      return;
    }
    given->used = true;
    if constexpr (std::is_base_of_v<OnePolicy<Value>, Kind>) {
      const PolicyText text{reader_, given->value};
      if (text.name() != Value::name) refuse({"has '", given->value, "', wanted ", kind.wanted()});
      value = read_policy<Value>(text, read_nested);
    } else if constexpr (std::is_base_of_v<Nested, Kind>) {
      value = read_nested(given->value, kind);
    } else {
      const auto made = kind.template read<Value>(given->value);
      if (!made || !kind.allows(*made))
        refuse({"has ", option, option.empty() ? "'" : " '", given->value, "', wanted ",
                kind.wanted()});
      value = *made;
    }
  }

  /// Refuses options that have not been read.
  void finish() const {
    for (const Part& part : parts_)
      if (!part.used)
        refuse({part.option.empty() ? "takes no value behind its name"
                                    : joined({"has an option '", part.option,
                                              "' that it does not take, or has it twice"})});
  }

  [[noreturn]] void refuse(TextParts what) const {
    refuse_text(reader_, text_, {joined(what), usage_.empty() ? "" : "; it is written ", usage_});
  }

 private:
  struct Part {
    std::string_view option;  ///< empty for the value behind the name
    std::string_view value;
    bool used = false;
  };

  /// What stands behind a colon, a comma, or a name without either.
  void add(char mark, std::string_view piece) {
    const std::size_t equals = piece.find_first_of("=(");
    if (equals != piece.npos && equals > 0 && piece[equals] == '=') {
      parts_.push_back({piece.substr(0, equals), piece.substr(equals + 1)});
    } else if (mark == ',' || piece.starts_with('=')) {
      refuse({"has '", piece, "', wanted option=value"});
    } else if (parts_.empty()) {
      parts_.push_back({"", piece});
    } else {  // a colon that belongs to the value, as in scaled:q:8
      std::string_view& value = parts_.back().value;
      value = {value.data(), value.size() + 1 + piece.size()};
    }
  }

  std::string_view without_parentheses(std::string_view value) const {
    if (!value.starts_with('(')) return value;
    if (!value.ends_with(')')) refuse({"has text behind a parenthesis"});
    value = value.substr(1, value.size() - 2);
    find_outside(reader_, value, "");  // refuses (a)(b)
    return value;
  }

  std::string_view reader_;
  std::string_view text_;
  std::string_view name_;
  std::string usage_;
  std::vector<Part> parts_;
};

/// How a policy is written, with what may be left out in brackets.
template <class Policy>
std::string usage() {
  std::string all{Policy::name};
  const Policy defaults{};
  Policy::each_option(
      defaults, [&]<class Kind>(std::string_view option, const auto&, const Kind& kind) {
        const bool in_parentheses = option.empty() && std::is_base_of_v<Nested, Kind>;
        if (!is_required<Kind>) all += "[";
        append_option(all, option, in_parentheses ? "(" + kind.usage() + ")" : kind.usage());
        if (!is_required<Kind>) all += "]";
      });
  return all;
}

/// The policy that a text describes. What is left out has its default, or the nearest value that
/// the options before it allow. `read_nested(text, kind)` makes a policy within the policy.
///
/// Errors  std::invalid_argument naming the part that is wrong and what is possible.
template <class Policy, class ReadNested = std::nullptr_t>
Policy read_policy(PolicyText text, const ReadNested& read_nested = {}) {
  text.set_usage(usage<Policy>());
  Policy policy{};
  Policy::each_option(policy, [&](std::string_view option, auto& value, const auto& kind) {
    text.read(option, value, kind, read_nested);
  });
  text.finish();
  return policy;
}

/// The policies of one sort, such as all stages.
template <class... Policies>
struct PolicyList {
  /// How they are written, one a line.
  static std::string usages() { return ((usage<Policies>() + "\n") + ...); }

  /// Calls use(policy) with the one that a text describes. `sort` is their name in errors.
  ///
  /// Errors  as read_policy, and for a name that none of them has.
  template <class ReadNested = std::nullptr_t>
  static void read(const PolicyText& text, const std::string& sort, const auto& use,
                   const ReadNested& read_nested = {}) {
    const auto is_named = [&]<class Policy>(std::type_identity<Policy>) {
      if (Policy::name != text.name()) return false;
      use(read_policy<Policy>(text, read_nested));
      return true;
    };
    if ((is_named(std::type_identity<Policies>{}) || ...)) return;
    std::string names;
    ((names += (names.empty() ? "" : ", ") + std::string{Policies::name}), ...);
    text.refuse({"names no ", sort, "; possible are ", names});
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::spec
