// SPDX-License-Identifier: MIT
#include <splitvit/wire/phase.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::wire;

namespace {

/// The names of all that may come, in the order of their numbers.
std::string may_come_now(Phase phase, Role role) {
  std::string names;
  for (std::size_t number = 1; number < message_kinds; ++number)
    if (const auto kind = static_cast<MessageKind>(number); may_come(kind, phase, role))
      names += std::string{names.empty() ? "" : " "} + name(kind);
  return names;
}

}  // namespace

TEST_CASE("Phase: what may come when", "[wire]") {
  CHECK(may_come_now(Phase::awaits_hello, Role::server) == "hello error");
  CHECK(may_come_now(Phase::decides, Role::server) == "error");
  CHECK(may_come_now(Phase::awaits_welcome, Role::server) == "welcome refuse error");
  CHECK(may_come_now(Phase::open, Role::server) ==
        "forward evaluate fetch_weights weights bye error heartbeat");
  CHECK(may_come_now(Phase::open, Role::client) ==
        "backward evaluated weights bye error heartbeat");
  CHECK(may_come_now(Phase::ended, Role::server) == "error");
}

TEST_CASE("Phase: the error says when", "[wire]") {
  const auto text_of = [](MessageKind kind, Phase phase) {
    std::string text;
    CHECK(test::reason_of<WireError>([&] { require_may_come(kind, phase, Role::server); }, &text) ==
          Reason::wrong_message);
    return text;
  };
  using enum MessageKind;
  CHECK(text_of(forward, Phase::awaits_hello) == "forward must not come before hello");
  CHECK(text_of(hello, Phase::decides) == "hello must not come before the answer to hello");
  CHECK(text_of(bye, Phase::awaits_welcome) == "bye must not come in answer to hello");
  CHECK(text_of(backward, Phase::open) == "backward must not come now");
  CHECK(text_of(weights, Phase::ended) == "weights must not come after the end");
  CHECK_NOTHROW(require_may_come(forward, Phase::open, Role::server));
}
