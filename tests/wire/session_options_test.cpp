// SPDX-License-Identifier: MIT
#include <splitvit/wire/session_options.hpp>

#include "support/catch.hpp"

using namespace splitvit::wire;
using namespace std::chrono_literals;

TEST_CASE("SessionOptions: the heartbeat is proposed in milliseconds, up to a day", "[wire]") {
  const auto proposed = [](std::chrono::nanoseconds heartbeat) {
    return SessionOptions{.heartbeat = heartbeat}.heartbeat_ms();
  };
  CHECK(SessionOptions{}.heartbeat_ms() == 0);
  CHECK(proposed(5s) == 5000);
  CHECK(proposed(1999us) == 1);
  CHECK(proposed(-1s) == 0);
  CHECK(proposed(25h) == 86'400'000);
  CHECK(proposed(std::chrono::nanoseconds::max()) == 86'400'000);
}
