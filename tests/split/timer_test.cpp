// SPDX-License-Identifier: MIT
#include <splitvit/split/timer.hpp>

#include "support/catch.hpp"

TEST_CASE("timer: laps follow each other and are never negative", "[split]") {
  splitvit::split::Timer timer;
  CHECK(timer.lap() >= 0);
  CHECK(timer.lap() >= 0);
}
