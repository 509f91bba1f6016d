// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>     // same_as
#include <cstddef>      // byte, size_t
#include <cstdint>      // uint8_t, uint64_t
#include <span>         // span
#include <stdexcept>    // invalid_argument
#include <string>       // string, to_string
#include <type_traits>  // is_const_v, remove_cvref_t, remove_reference_t
#include <utility>      // move
#include <vector>       // vector

#include <splitvit/core/bytes.hpp>  // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>  // WireError

// State: what an object keeps between training steps, shown value by value, so that it can be
// stored, restored and compared without knowledge of its type.

namespace splitvit {

/// Visits all state of an object, and may change it.
///
/// An object with state offers `void each_state(auto&& see)`, which calls see(name, value) for each
/// of its values, always in the same order and with unique names. Options are not state.
///
///   void each_state(auto&& see) {
///     see(std::string{"steps"}, steps_);                         // std::uint64_t
///     see(std::string{"mean"}, std::span<float>{mean_.span()});  // of a tensor: a fixed size
///   }
///
/// A type that hides what it holds offers `void each_state(StateVisitor& see)`. To call either
/// of them, use show_state.
class StateVisitor {
 public:
  StateVisitor() = default;
  StateVisitor(const StateVisitor&) = delete;
  StateVisitor& operator=(const StateVisitor&) = delete;
  virtual ~StateVisitor() = default;

  virtual void operator()(const std::string& name, std::uint64_t& value) = 0;
  virtual void operator()(const std::string& name, double& value) = 0;
  /// These two may be resized.
  virtual void operator()(const std::string& name, std::vector<double>& values) = 0;
  virtual void operator()(const std::string& name, std::vector<std::byte>& bytes) = 0;
  /// These two have a fixed size.
  virtual void operator()(const std::string& name, std::span<float> values) = 0;
  virtual void operator()(const std::string& name, std::span<double> values) = 0;
};

/// A type that shows its state.
template <class Thing>
concept HasState = requires(Thing& thing, StateVisitor& see) { thing.each_state(see); };

namespace detail {

/// A StateVisitor for any `see` that takes all kinds of values; each name begins with `prefix`.
template <class See>
class PrefixedVisitor final : public StateVisitor {
 public:
  PrefixedVisitor(See& see, std::string prefix) : see_{see}, prefix_{std::move(prefix)} {}

  void operator()(const std::string& name, std::uint64_t& value) override {
    see_(prefix_ + name, value);
  }
  void operator()(const std::string& name, double& value) override { see_(prefix_ + name, value); }
  void operator()(const std::string& name, std::vector<double>& values) override {
    see_(prefix_ + name, values);
  }
  void operator()(const std::string& name, std::vector<std::byte>& bytes) override {
    see_(prefix_ + name, bytes);
  }
  void operator()(const std::string& name, std::span<float> values) override {
    see_(prefix_ + name, values);
  }
  void operator()(const std::string& name, std::span<double> values) override {
    see_(prefix_ + name, values);
  }

 private:
  See& see_;
  std::string prefix_;
};

}  // namespace detail

/// Calls see(prefix + name, value) for all state of `thing`; never for a type without each_state.
/// `see` takes all kinds of values that a StateVisitor takes.
template <class Thing>
void show_state(Thing& thing, auto&& see, const std::string& prefix = "") {
  static_assert(!std::is_const_v<Thing>, "state is shown so that it can be written to");
  if constexpr (HasState<Thing>) {
    detail::PrefixedVisitor<std::remove_reference_t<decltype(see)>> visitor{see, prefix};
    thing.each_state(static_cast<StateVisitor&>(visitor));
  }
}

namespace detail {

template <class Value>
concept OneStateNumber = std::same_as<Value, std::uint64_t> || std::same_as<Value, double>;

/// The numbers of a value of any kind.
template <class Value>
auto state_numbers(Value& value) {
  if constexpr (OneStateNumber<Value>)
    return std::span{&value, 1};
  else
    return std::span{value};
}

template <class Value>
inline constexpr bool may_grow =
    std::same_as<Value, std::vector<double>> || std::same_as<Value, std::vector<std::byte>>;

/// The kinds of values that StateVisitor takes.
template <class Value>
inline constexpr std::uint8_t state_kind = [] {
  if (std::same_as<Value, std::uint64_t>) return 0;
  if (std::same_as<Value, double>) return 1;
  if (std::same_as<Value, std::vector<double>>) return 2;
  if (std::same_as<Value, std::vector<std::byte>>) return 3;
  return std::same_as<Value, std::span<float>> ? 4 : 5;
}();

/// Appends each value: its name, u8 kind, u64 how many numbers, the numbers.
class StateWriter {
 public:
  explicit StateWriter(std::vector<std::byte>& out) : out_{out} {}

  template <class Value>
  void operator()(const std::string& name, Value&& value) {
    const auto numbers = state_numbers(value);
    using Number = std::remove_cvref_t<decltype(numbers[0])>;
    out_.put_text(name);
    out_.put(state_kind<std::remove_cvref_t<Value>>);
    out_.put(static_cast<std::uint64_t>(numbers.size()));
    if constexpr (std::same_as<Number, std::byte>)
      out_.put_bytes(numbers);
    else
      out_.put_array(std::span<const Number>{numbers});
  }

 private:
  ByteWriter out_;
};

/// Compares names, kinds and sizes with the output of StateWriter; optionally also copies the
/// numbers.
class StateReader {
 public:
  StateReader(std::span<const std::byte> bytes, bool takes) : in_{bytes, "state"}, takes_{takes} {}

  template <class Value>
  void operator()(const std::string& name, Value&& value) {
    using Plain = std::remove_cvref_t<Value>;
    using Number = std::remove_cvref_t<decltype(state_numbers(value)[0])>;
    const std::string found = in_.get_text(in_.left());
    const auto kind = in_.get<std::uint8_t>();
    const auto count = in_.get<std::uint64_t>();
    if (found != name) refuse("'" + found + "' where '" + name + "' was wanted");
    if (kind != state_kind<Plain>) refuse("'" + name + "' is another kind of value");
    if (!may_grow<Plain> && count != state_numbers(value).size())
      refuse(std::to_string(count) + " numbers for '" + name + "', wanted " +
             std::to_string(state_numbers(value).size()));
    if (count > in_.left() / sizeof(Number)) refuse("bytes end within '" + name + "'");
    const auto bytes = in_.get_bytes(static_cast<std::size_t>(count) * sizeof(Number));
    if (!takes_) return;
    if constexpr (may_grow<Plain>) value.resize(static_cast<std::size_t>(count));
    if constexpr (std::same_as<Number, std::byte>)
      value.assign(bytes.begin(), bytes.end());
    else
      ByteReader{bytes}.get_array(state_numbers(value));
  }

  void finish() const {
    if (in_.left() > 0) refuse(std::to_string(in_.left()) + " bytes too many");
  }

 private:
  [[noreturn]] static void refuse(const std::string& text) {
    throw std::invalid_argument("set_state_bytes: " + text);
  }

  ByteReader in_;
  bool takes_;
};

}  // namespace detail

/// Appends all state of an object, with names and sizes. Equal bytes mean equal state. Appends
/// nothing for an object without state.
template <class Thing>
void append_state(Thing& thing, std::vector<std::byte>& bytes) {
  show_state(thing, detail::StateWriter{bytes});
}

/// The same as a value.
template <class Thing>
std::vector<std::byte> state_bytes(Thing& thing) {
  std::vector<std::byte> bytes;
  append_state(thing, bytes);
  return bytes;
}

/// Gives `thing` a state from state_bytes. Everything is checked before anything is changed.
///
/// Errors  std::invalid_argument unless names, kinds and fixed sizes match `thing`, in its order,
///         and nothing is missing or left over.
template <class Thing>
void set_state_bytes(Thing& thing, std::span<const std::byte> bytes) {
  try {
    for (const bool takes : {false, true}) {
      detail::StateReader reader{bytes, takes};
      show_state(thing, reader);
      reader.finish();
    }
  } catch (const WireError& error) {  // bytes that end too early
    throw std::invalid_argument(std::string{"set_state_bytes: "} + error.what());
  }
}

}  // namespace splitvit
