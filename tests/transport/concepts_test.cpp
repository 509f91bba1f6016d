// SPDX-License-Identifier: MIT
#include <splitvit/transport/concepts.hpp>
#include <splitvit/transport/memory.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/links.hpp"

using namespace splitvit;
using namespace splitvit::transport;

TEST_CASE("deadline_in: never counts past the end of the clock", "[transport]") {
  CHECK(deadline_in(std::chrono::nanoseconds::max()) == no_deadline);
  const auto before = Clock::now();
  const auto deadline = deadline_in(std::chrono::seconds{1});
  CHECK(deadline >= before + std::chrono::seconds{1});
  CHECK(deadline <= Clock::now() + std::chrono::seconds{1});
}

TEST_CASE("set_deadline_if_possible: says whether the link has one", "[transport]") {
  auto ends = memory_pair();
  CHECK(set_deadline_if_possible(ends.first, Clock::now()));
  std::byte b;
  CHECK(test::reason_of([&] { ends.first.read_some(std::span{&b, 1}); }) == Reason::timed_out);

  std::deque<std::byte> queue;
  test::TrickleLink without{queue};
  CHECK_FALSE(set_deadline_if_possible(without, Clock::now()));
}
