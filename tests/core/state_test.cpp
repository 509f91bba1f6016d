// SPDX-License-Identifier: MIT
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <splitvit/core/state.hpp>

#include "support/catch.hpp"

namespace splitvit {
namespace {

/// Has a value of each kind.
struct Remembers {
  std::uint64_t steps = 0;
  double rate = 0;
  std::vector<double> history = {};
  std::vector<std::byte> reply = {};
  std::vector<float> narrow = std::vector<float>(3);
  std::vector<double> wide = std::vector<double>(2);

  void each_state(auto&& see) {
    see(std::string{"steps"}, steps);
    see(std::string{"rate"}, rate);
    see(std::string{"history"}, history);
    see(std::string{"reply"}, reply);
    see(std::string{"narrow"}, std::span<float>{narrow});
    see(std::string{"wide"}, std::span<double>{wide});
  }
  friend bool operator==(const Remembers&, const Remembers&) = default;
};

/// Hides what it holds.
struct Hidden {
  Remembers held;
  void each_state(StateVisitor& see) { held.each_state(see); }
};

struct OneNumber {
  std::string name;
  double value = 1;
  void each_state(auto&& see) { see(name, value); }
};

struct ManyNumbers {
  std::vector<double> value = {1};
  void each_state(auto&& see) { see(std::string{"a"}, value); }
};

/// Numbers of a type of its own.
struct Codes {
  std::vector<std::uint16_t> codes;
  void each_state(auto&& see) { show_numbers(see, "codes", codes); }
};

/// Two things within one.
struct TwoThings {
  Remembers first;
  Hidden second;
  void each_state(auto&& see) {
    show_state(first, see, "first.");
    show_state(second, see, "second.");
  }
};

Remembers some() { return {7, 0.5, {1, 2}, {std::byte{9}}, {1, 2, 3}, {4, 5}}; }

std::vector<std::string> names_of(auto& thing) {
  std::vector<std::string> names;
  show_state(thing, [&](const std::string& name, auto&&) { names.push_back(name); });
  return names;
}

}  // namespace

static_assert(HasState<Remembers> && HasState<Hidden> && HasState<TwoThings>);
static_assert(!HasState<const Remembers> && !HasState<int>);

TEST_CASE("state: shown in order, with names", "[core]") {
  Remembers plain;
  const std::vector<std::string> names = {"steps", "rate", "history", "reply", "narrow", "wide"};
  CHECK(names_of(plain) == names);
  Hidden hidden;
  CHECK(names_of(hidden) == names);
  TwoThings pair;
  CHECK(names_of(pair).front() == "first.steps");
  CHECK(names_of(pair).back() == "second.wide");
  int without = 0;
  CHECK(names_of(without).empty());
  CHECK(state_bytes(without).empty());
}

TEST_CASE("state: bytes and back", "[core]") {
  TwoThings pair{some(), {some()}}, other;
  CHECK(state_bytes(pair) != state_bytes(other));
  set_state_bytes(other, state_bytes(pair));
  CHECK(other.first == pair.first);
  CHECK(other.second.held == pair.second.held);
  CHECK(state_bytes(other) == state_bytes(pair));
  other.second.held.wide[1] = 6;
  CHECK(state_bytes(other) != state_bytes(pair));
}

TEST_CASE("state: equal numbers under another name or of another kind differ", "[core]") {
  OneNumber a{"a"}, b{"b"};
  ManyNumbers growing;
  CHECK(state_bytes(a) != state_bytes(b));
  CHECK(state_bytes(a) != state_bytes(growing));
  CHECK_THROWS_WITH(set_state_bytes(a, state_bytes(b)), ContainsSubstring("'b' where 'a'"));
  CHECK_THROWS_WITH(set_state_bytes(a, state_bytes(growing)),
                    ContainsSubstring("'a' is another kind"));
}

TEST_CASE("state: bytes that do not fit change nothing", "[core]") {
  Remembers from = some(), to;
  const auto bytes = state_bytes(from);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_THROWS_AS(set_state_bytes(to, std::span{bytes}.first(size)), std::invalid_argument);
  auto longer = bytes;
  longer.push_back(std::byte{0});
  CHECK_THROWS_WITH(set_state_bytes(to, longer), ContainsSubstring("1 byte too many"));
  to.wide.push_back(0);
  CHECK_THROWS_WITH(set_state_bytes(to, bytes),
                    ContainsSubstring("2 numbers for 'wide', wanted 3"));
  to.wide.pop_back();
  CHECK(to == Remembers{});
  set_state_bytes(to, bytes);
  CHECK(to == from);
}

TEST_CASE("state: a list of numbers of any type, as bytes", "[core]") {
  Codes from{{1, 0xFFFE}}, to{{7, 8, 9}};
  auto bytes = state_bytes(from);
  CHECK(bytes.size() == 4 + 5 + 1 + 8 + 4);
  set_state_bytes(to, bytes);
  CHECK(to.codes == from.codes);
  bytes.push_back(std::byte{3});
  bytes[10] = std::byte{5};  // a number that is not whole is left out
  set_state_bytes(to, bytes);
  CHECK(to.codes == from.codes);
}

TEST_CASE("state: a claimed size takes no memory before it is checked", "[core]") {
  ManyNumbers growing;
  auto bytes = state_bytes(growing);
  for (std::size_t i = 6; i < 14; ++i) bytes[i] = std::byte{0x7F};  // behind u32 1, "a", u8 kind
  CHECK_THROWS_WITH(set_state_bytes(growing, bytes), ContainsSubstring("elements of 8 bytes"));
}

}  // namespace splitvit
