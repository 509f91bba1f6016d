// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/error.hpp>  // ArgumentError, joined
#include <splitvit/core/shape.hpp>  // Index
#include <splitvit/core/text.hpp>   // exact_text, number_from

// A policy (a stage, a codec, the shape of a bottleneck) lists its options once. From the list come
// its description, the check of its values and, in spec/, its parser and usage text.
//
//   struct Pick {
//     double keep = 0.5;
//     Order order = Order::random;
//
//     static constexpr std::string_view name = "pick";
//     static void each_option(auto& self, auto&& see) {
//       see("", self.keep, fraction("R"));  // no option name: the value behind the policy's name
//       see("order", self.order, order_names);
//     }
//     std::string description() const { return describe_options(*this); }  // pick:0.5:order=random
//   };
//
// The third argument of see is the kind of the option, which may depend on options before it:
//
//   usage()         what stands for a value in a usage text: "BITS", "yes|no"
//   wanted()        which values it takes, for errors
//   allows(value)   whether it takes this one
//   text(value)     the value as a text
//   read<V>(text)   and back; nothing if this is no V

namespace splitvit::inline SPLITVIT_BUILD {

/// A policy that describes itself and its options. Equal texts mean equal results.
template <class P>
concept Described = requires(const P& policy) {
  { policy.description() } -> std::convertible_to<std::string>;
};

/// A policy that lists its options.
template <class P>
concept HasOptions = requires(const P& policy) { P::each_option(policy, [](const auto&...) {}); };

/// The policy's description, on one line; "custom" for one that has none.
template <class P>
std::string describe(const P& policy) {
  if constexpr (Described<P>)
    return policy.description();
  else
    return "custom";
}

/// Whole numbers from `low` to `high`.
template <std::integral Number>
struct Whole {
  Number low;
  Number high;
  std::string_view symbol;

  std::string usage() const { return std::string{symbol}; }
  std::string wanted() const {
    const std::string from = std::to_string(low), to = std::to_string(high);
    if (high == std::numeric_limits<Number>::max()) return "a whole number, at least " + from;
    return low == high ? from : "a whole number from " + from + " to " + to;
  }
  bool allows(std::integral auto value) const {
    return !std::cmp_less(value, low) && !std::cmp_greater(value, high);
  }
  /// The one that is closest to `value`.
  template <std::integral V>
  V nearest(V value) const {
    if (allows(value)) return value;
    return static_cast<V>(std::cmp_less(value, low) ? low : high);
  }
  std::string text(std::integral auto value) const { return std::to_string(value); }
  template <std::integral V>
  std::optional<V> read(std::string_view text) const {
    return number_from<V>(text);
  }
};

template <std::integral Low, std::integral High>
Whole(Low, High, std::string_view) -> Whole<High>;

inline constexpr Whole<Index> at_least(Index low, std::string_view symbol) {
  return {low, std::numeric_limits<Index>::max(), symbol};
}

/// Numbers from `low` to `high`, with or without the two.
struct Real {
  double low;
  double high;
  std::string_view symbol;
  bool without_low = false;
  bool without_high = false;

  std::string usage() const { return std::string{symbol}; }
  std::string wanted() const {
    if (high == std::numeric_limits<double>::infinity())
      return "a number, at least " + exact_text(low);
    return joined({"a number in ", without_low ? "(" : "[", exact_text(low), ", ", exact_text(high),
                   without_high ? ")" : "]"});
  }
  bool allows(double x) const {  // refuses NaN
    return (without_low ? x > low : x >= low) && (without_high ? x < high : x <= high);
  }
  std::string text(double x) const { return exact_text(x); }
  template <std::same_as<double> V>
  std::optional<V> read(std::string_view text) const {
    return number_from<V>(text);
  }
};

/// Numbers in (0, 1].
inline constexpr Real fraction(std::string_view symbol) { return {0, 1, symbol, true}; }

template <class Value>
struct Named {
  std::string_view name;
  Value value;
};

namespace detail {
/// The names alone, with `between` between them.
inline std::string joined_names(std::span<const Named<Index>> all, const char* between) {
  std::string text;
  for (const auto& [name, number] : all) text += joined({text.empty() ? "" : between, name});
  return text;
}
/// The entry with this number, or null.
inline const Named<Index>* find_number(std::span<const Named<Index>> all, Index number) {
  for (const Named<Index>& one : all)
    if (one.value == number) return &one;
  return nullptr;
}
}  // namespace detail

/// Some values, each with a name. Kept as numbers, so that little is compiled for each type.
template <class Value, std::size_t n>
struct Names {
  std::array<Named<Index>, n> all;

  std::string usage() const { return detail::joined_names(all, "|"); }
  std::string wanted() const { return "one of " + detail::joined_names(all, ", "); }
  bool allows(const Value& value) const { return find(value) != nullptr; }
  /// The number of a value that has no name.
  std::string text(const Value& value) const {
    const Named<Index>* const found = find(value);
    return found ? std::string{found->name} : std::to_string(static_cast<Index>(value));
  }
  template <std::same_as<Value> V>
  std::optional<V> read(std::string_view text) const {
    for (const auto& [name, number] : all)
      if (name == text) return static_cast<V>(number);
    return std::nullopt;
  }

 private:
  const Named<Index>* find(const Value& value) const {
    return detail::find_number(all, static_cast<Index>(value));
  }
};

/// Names from a list: `names_of<Order>({{"ascending", Order::ascending}, ...})`.
template <class Value, std::size_t n>
constexpr Names<Value, n> names_of(const Named<Value> (&list)[n]) {
  Names<Value, n> names{};
  for (std::size_t i = 0; i < n; ++i)
    names.all[i] = {list[i].name, static_cast<Index>(list[i].value)};
  return names;
}

inline constexpr auto yes_no = names_of<bool>({{"yes", true}, {"no", false}});

/// An option that may be left open. It then counts as `otherwise`.
template <class Kind, class Value>
struct OrElse : Kind {
  Value otherwise;

  bool allows(const std::optional<Value>& value) const { return !value || Kind::allows(*value); }
  std::string text(const std::optional<Value>& value) const {
    return Kind::text(value.value_or(otherwise));
  }
  template <std::same_as<std::optional<Value>> V>
  std::optional<V> read(std::string_view text) const {
    const auto value = Kind::template read<Value>(text);
    return value ? std::optional<V>{value} : std::nullopt;
  }
};

template <class Kind, class Value>
OrElse(Kind, Value) -> OrElse<Kind, Value>;

/// A codec in a codec. It checks its own options.
struct Nested {
  bool straight_through = false;  ///< whether it must be, see codec/concepts.hpp

  std::string usage() const { return "CODEC"; }
  std::string wanted() const { return "a codec"; }
  bool allows(const auto&) const { return true; }
  std::string text(const auto& codec) const { return "(" + describe(codec) + ")"; }
};

/// A policy of one type in a policy. It checks its own options.
template <class Policy>
struct OnePolicy : Nested {
  std::string wanted() const { return std::string{Policy::name} + ", with options or without"; }
};

/// An option without which the parser takes no text.
template <class Kind>
struct Required : Kind {};

template <class Kind>
Required(Kind) -> Required<Kind>;

/// Appends :option=text, without `option=` for the value behind the policy's name.
inline void append_option(std::string& all, std::string_view option, const std::string& text) {
  if (!option.empty())
    all.append(":").append(option).append("=");
  else if (!text.starts_with('('))
    all += ":";
  all += text;
}

/// The policy with all its options, as a text from which spec/ makes an equal policy.
template <class Policy>
std::string describe_options(const Policy& policy) {
  std::string all{Policy::name};
  Policy::each_option(policy, [&](std::string_view option, const auto& value, const auto& kind) {
    append_option(all, option, kind.text(value));
  });
  return all;
}

/// Errors  std::invalid_argument naming operation, option, what came and what was wanted.
template <class Value, class Kind>
void require_option(std::string_view operation, std::string_view option, const Value& value,
                    const Kind& kind) {
  if (!kind.allows(value))
    throw ArgumentError({operation, ": ", option.empty() ? kind.usage() : std::string{option},
                         " is ", kind.text(value), ", wanted ", kind.wanted()});
}

/// The same for all options of a policy.
template <class Policy>
void require_options(std::string_view operation, const Policy& policy) {
  Policy::each_option(policy, [&](std::string_view option, const auto& value, const auto& kind) {
    require_option(operation, option, value, kind);
  });
}

}  // namespace splitvit::inline SPLITVIT_BUILD
