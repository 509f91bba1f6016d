// SPDX-License-Identifier: MIT
#include <map>

#include <splitvit/wire/tally.hpp>

#include "support/catch.hpp"

using namespace splitvit::wire;

TEST_CASE("Tally: payload and framing are counted apart, by kind, repeats for themselves",
          "[wire]") {
  Tally tally;
  const Count one{.messages = 1, .payload = 100, .framed = 132};
  tally.add(MessageKind::forward, one);
  tally.add(MessageKind::forward, one);
  tally.add(MessageKind::forward, one, true);
  tally.add(MessageKind::hello, {.messages = 1, .payload = 0, .framed = 32}, true);
  CHECK(tally.of(MessageKind::forward) == Count{.messages = 2, .payload = 200, .framed = 264});
  CHECK(tally.of(MessageKind::hello) == Count{});
  CHECK(tally.repeats() == Count{.messages = 2, .payload = 100, .framed = 164});
  CHECK(tally.total() == Count{.messages = 4, .payload = 300, .framed = 428});
}

TEST_CASE("Tally: its state is stored and set back", "[wire]") {
  Tally tally;
  std::uint64_t n = 1;
  for (std::size_t kind = 1; kind < message_kinds; ++kind, n += 3)
    tally.add(static_cast<MessageKind>(kind), {n, n + 1, n + 2}, false);
  tally.add(MessageKind::hello, {1000, 1001, 1002}, true);
  std::map<std::string, std::uint64_t> stored;
  tally.each_state("up.", [&](const std::string& name, std::uint64_t& value) {
    CHECK(stored.emplace(name, value).second);  // no name twice
  });
  CHECK(stored.at("up.forward.payload") == tally.of(MessageKind::forward).payload);
  Tally other;
  other.each_state("up.",
                   [&](const std::string& name, std::uint64_t& value) { value = stored.at(name); });
  CHECK(other.total() == tally.total());
  CHECK(other.repeats() == tally.repeats());
}
