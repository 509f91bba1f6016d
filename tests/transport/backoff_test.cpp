// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>

#include <splitvit/transport/backoff.hpp>

#include "support/catch.hpp"

using namespace splitvit;
using namespace std::chrono_literals;

TEST_CASE("Backoff: a random part of a limit that doubles up to 20 s", "[transport]") {
  std::array<std::chrono::nanoseconds, 12> longest{}, shortest{};
  shortest.fill(1h);
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    transport::Backoff backoff{{.seed = seed}};
    for (std::size_t i = 0; i < longest.size(); ++i) {
      const auto wait = backoff.next();
      longest[i] = std::max(longest[i], wait);
      shortest[i] = std::min(shortest[i], wait);
    }
  }
  std::chrono::milliseconds limit = 200ms;
  for (std::size_t i = 0; i < longest.size();
       ++i, limit = std::min<std::chrono::milliseconds>(2 * limit, 20s)) {
    INFO(i);
    CHECK(shortest[i] >= 0ms);
    CHECK(shortest[i] < limit / 10);
    CHECK(longest[i] > limit * 9 / 10);
    CHECK(longest[i] <= limit);
  }
}
