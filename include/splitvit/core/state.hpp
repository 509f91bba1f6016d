// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // copy
#include <functional>  // function
#include <variant>     // variant, visit

#include <splitvit/core/bytes.hpp>  // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>  // Reason, WireError

namespace splitvit::inline SPLITVIT_BUILD {

/// The kinds of values: a number, a list of numbers or bytes that may be resized, and numbers of a
/// fixed count.
using StateValue = std::variant<std::uint64_t*, double*, std::vector<double>*,
                                std::vector<std::byte>*, std::span<float>, std::span<double>>;

/// Visits the values that an object keeps between training steps, its state. It may change them.
///
/// An object with state offers `void each_state(auto&& see)`, which calls see(name, value) for each
/// of its values, always in the same order and with unique names. Options are not state.
///
///   void each_state(auto&& see) {
///     see(std::string{"steps"}, steps_);                         // std::uint64_t
///     see(std::string{"mean"}, std::span<float>{mean_.span()});  // of a tensor: a fixed size
///   }
///
/// A type that hides what it holds offers `void each_state(StateVisitor& see)`. show_state calls
/// either of them.
class StateVisitor {
 public:
  using Visit = std::function<void(const std::string& name, StateValue value)>;
  explicit StateVisitor(Visit visit) : visit_{std::move(visit)} {}

  /// `value` is of one of the kinds in StateValue.
  template <class Value>
  void operator()(const std::string& name, Value&& value) {
    if constexpr (requires { StateValue{&value}; })
      visit_(name, StateValue{&value});
    else
      visit_(name, StateValue{value});
  }

 private:
  Visit visit_;
};

/// Shows a 32-bit number, as 64 bits.
void show_u32(auto&& see, const std::string& name, std::uint32_t& number) {
  std::uint64_t wide = number;
  see(name, wide);
  number = static_cast<std::uint32_t>(wide);
}

/// Shows a list of numbers of any type as bytes, little-endian.
template <Arithmetic Number>
void show_numbers(auto&& see, const std::string& name, std::vector<Number>& numbers) {
  std::vector<std::byte> bytes;
  ByteWriter{bytes}.put_array(std::span<const Number>{numbers});
  see(name, bytes);
  numbers.resize(bytes.size() / sizeof(Number));
  ByteReader{bytes}.get_array(std::span<Number>{numbers});
}

/// Shows whole numbers, flags and such as one list. each(use) calls use(number) for each of them.
void show_whole_numbers(auto&& see, const std::string& name, const auto& each) {
  std::vector<std::uint64_t> all;
  each([&](const auto& number) { all.push_back(static_cast<std::uint64_t>(number)); });
  const std::size_t count = all.size();
  show_numbers(see, name, all);
  all.resize(count);
  auto value = all.begin();
  each([&]<class Number>(Number& number) { number = static_cast<Number>(*value++); });
}

/// Shows a text as its bytes.
void show_text(auto&& see, const std::string& name, std::string& text) {
  const auto before = std::as_bytes(std::span{text});
  std::vector<std::byte> bytes(before.begin(), before.end());
  see(name, bytes);
  text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

/// A type that shows its state.
template <class Thing>
concept HasState = requires(Thing& thing, StateVisitor& see) { thing.each_state(see); };

namespace detail {
/// Whether a kind of value may be resized.
template <class Held>
inline constexpr bool may_grow =
    std::same_as<Held, std::vector<double>*> || std::same_as<Held, std::vector<std::byte>*>;

/// The numbers of a value of any kind.
template <class Held>
auto state_numbers(Held held) {
  if constexpr (may_grow<Held>)
    return std::span{*held};
  else if constexpr (std::is_pointer_v<Held>)
    return std::span{held, 1};
  else
    return held;
}

/// Appends a value: its name, u8 kind, u64 how many numbers, the numbers.
/// A template, as read_value is, so that only programs that use it compile it.
template <std::same_as<ByteWriter> Out>
void write_value(Out& out, const std::string& name, StateValue value) {
  out.put_text(name);
  out.put(static_cast<std::uint8_t>(value.index()));
  std::visit(
      [&](auto held) {
        const auto numbers = state_numbers(held);
        using Number = typename decltype(numbers)::element_type;
        out.put(static_cast<std::uint64_t>(numbers.size()));
        if constexpr (std::same_as<Number, std::byte>)
          out.put_bytes(numbers);
        else
          out.put_array(std::span<const Number>{numbers});
      },
      value);
}

/// Compares name, kind and size with what write_value wrote; copies the numbers if it `takes`.
template <std::same_as<ByteReader> In>
void read_value(In& in, bool takes, const std::string& name, StateValue value) {
  constexpr Reason misfit = Reason::wrong_content;
  const std::string found = in.get_text(in.left());
  const auto kind = in.template get<std::uint8_t>();
  const auto count = in.template get<std::uint64_t>();
  if (found != name) in.refuse(misfit, {"'", found, "' where '", name, "' was wanted"});
  if (kind != value.index()) in.refuse(misfit, {"'", name, "' is another kind of value"});
  std::visit(
      [&](auto held) {
        auto numbers = state_numbers(held);
        using Number = typename decltype(numbers)::element_type;
        if (!may_grow<decltype(held)> && count != numbers.size())
          in.refuse(misfit, {count, " numbers for '", name, "', wanted ", numbers.size()});
        in.require(static_cast<Index>(count), sizeof(Number));
        const auto bytes = in.get_bytes(static_cast<std::size_t>(count) * sizeof(Number));
        if (!takes) return;
        if constexpr (may_grow<decltype(held)>) {
          held->resize(static_cast<std::size_t>(count));
          numbers = state_numbers(held);
        }
        if constexpr (std::same_as<Number, std::byte>)
          std::copy(bytes.begin(), bytes.end(), numbers.begin());
        else
          ByteReader{bytes}.get_array(numbers);
      },
      value);
}
}  // namespace detail

/// Calls see(prefix + name, value) for all state of `thing`; never for a type without each_state.
template <class Thing>
void show_state(Thing& thing, auto&& see, const std::string& prefix = "") {
  static_assert(!std::is_const_v<Thing>, "state is shown so that it can be written to");
  if constexpr (HasState<Thing>) {
    StateVisitor visitor{[&](const std::string& name, StateValue value) {
      std::visit(
          [&](auto held) {
            if constexpr (std::is_pointer_v<decltype(held)>)
              see(prefix + name, *held);
            else
              see(prefix + name, held);
          },
          value);
    }};
    thing.each_state(visitor);
  }
}

/// Calls sink(bytes) for one value after the other: together they are state_bytes. For a state of
/// which there need not be a second copy in memory.
template <class Thing>
void each_state_bytes(Thing& thing, auto&& sink) {
  std::vector<std::byte> bytes;
  show_state(thing, StateVisitor{[&](const std::string& name, StateValue value) {
               bytes.clear();
               ByteWriter out{bytes};
               detail::write_value(out, name, value);
               sink(std::span<const std::byte>{bytes});
             }});
}

/// All state of an object, with names and sizes; empty without state. Equal bytes: equal state.
template <class Thing>
std::vector<std::byte> state_bytes(Thing& thing) {
  std::vector<std::byte> all;
  each_state_bytes(thing, [&](std::span<const std::byte> bytes) {
    all.insert(all.end(), bytes.begin(), bytes.end());
  });
  return all;
}

/// Gives `thing` a state from state_bytes. Everything is checked before anything is changed.
///
/// Errors  std::invalid_argument unless names, kinds and fixed sizes match `thing`, in its order,
///         and nothing is missing or left over.
template <class Thing>
void set_state_bytes(Thing& thing, std::span<const std::byte> bytes) {
  try {
    for (const bool takes : {false, true}) {
      ByteReader in{bytes, "set_state_bytes"};
      show_state(thing, StateVisitor{[&](const std::string& name, StateValue value) {
                   detail::read_value(in, takes, name, value);
                 }});
      in.expect_end();
    }
  } catch (const WireError& error) {
    throw std::invalid_argument(error.what());
  }
}

}  // namespace splitvit::inline SPLITVIT_BUILD
