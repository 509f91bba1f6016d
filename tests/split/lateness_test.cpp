// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include <splitvit/split/lateness.hpp>

#include "support/catch.hpp"

using splitvit::split::Lateness;
using std::chrono::seconds;
using Numbers = std::vector<std::uint32_t>;

TEST_CASE("Lateness: a client is late after the others have waited for it long enough", "[split]") {
  Lateness lateness{seconds{5}};
  const Lateness::Time begin{seconds{100}};
  CHECK(lateness.late({1, 2}, begin).empty());
  CHECK(lateness.late({2, 3}, begin + seconds{4}).empty());
  CHECK(lateness.late({1, 2, 3}, begin + seconds{5}) == Numbers{2});
  CHECK(lateness.late({1, 3}, begin + seconds{9}) == Numbers{3});  // for 1 it began anew
  CHECK(lateness.late({1, 3}, begin + seconds{10}) == Numbers{1, 3});
}

TEST_CASE("Lateness: nobody waits for a client whose message is being computed", "[split]") {
  Lateness lateness{seconds{5}};
  const Lateness::Time begin{seconds{100}};
  CHECK(lateness.late({1}, begin).empty());
  {
    std::optional<Lateness::Hearing> first{std::in_place, lateness, 1};
    const Lateness::Hearing second{lateness, 1};  // over another connection
    first.reset();
    CHECK(lateness.late({1}, begin + seconds{60}).empty());
  }
  CHECK(lateness.late({1}, begin + seconds{70}).empty());
  CHECK(lateness.late({1}, begin + seconds{75}) == Numbers{1});
}

TEST_CASE("Lateness: without a deadline nobody is ever late", "[split]") {
  Lateness lateness{seconds{0}};
  const Lateness::Time begin{seconds{100}};
  CHECK(lateness.late({1}, begin).empty());
  CHECK(lateness.late({1}, begin + seconds{1'000'000}).empty());
}
