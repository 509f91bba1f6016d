// SPDX-License-Identifier: MIT
#include <splitvit/transport/concepts.hpp>
#include <splitvit/transport/memory.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/links.hpp"

using namespace splitvit;
using namespace splitvit::transport;
using test::reason_of;

TEST_CASE("deadline_in: never counts past the end of the clock", "[transport]") {
  CHECK(deadline_in(std::chrono::nanoseconds::max()) == no_deadline);
  const auto before = Clock::now();
  const auto deadline = deadline_in(std::chrono::seconds{1});
  CHECK(deadline >= before + std::chrono::seconds{1});
  CHECK(deadline <= Clock::now() + std::chrono::seconds{1});
}

TEST_CASE("set_deadline_if_possible: for links with a deadline, and without", "[transport]") {
  auto ends = memory_pair();
  set_deadline_if_possible(ends.first, Clock::now());
  std::byte b;
  CHECK(reason_of([&] { ends.first.read_some(std::span{&b, 1}); }) == Reason::timed_out);

  std::deque<std::byte> queue;
  test::TrickleLink without{queue};
  CHECK_NOTHROW(set_deadline_if_possible(without, Clock::now()));
}

TEST_CASE("write_all, read_exactly: whole even one byte at a time", "[transport]") {
  std::deque<std::byte> queue;
  test::TrickleLink link{queue};
  const auto sent = test::random_bytes(1000);
  write_all(link, sent);
  CHECK(queue.size() == 1000);
  std::vector<std::byte> received(1000);
  read_exactly(link, received);
  CHECK(received == sent);
}

TEST_CASE("write_all, read_exactly: no bytes, no call", "[transport]") {
  test::LyingLink link;  // any call would fail
  CHECK_NOTHROW(write_all(link, {}));
  CHECK_NOTHROW(read_exactly(link, {}));
}

TEST_CASE("read_exactly: a peer that closes early is an error", "[transport]") {
  test::ScriptLink link{test::random_bytes(5)};
  std::vector<std::byte> wanted(6);
  std::string text;
  CHECK(reason_of<TransportError>([&] { read_exactly(link, wanted); }, &text) == Reason::closed);
}

TEST_CASE("write_all, read_exactly: a link that lies about its counts", "[transport]") {
  std::vector<std::byte> bytes(4);
  test::LyingLink nothing{.claim = 0};
  test::LyingLink too_much{.claim = 5};
  CHECK(reason_of([&] { write_all(nothing, bytes); }) == Reason::link_failed);
  CHECK(reason_of([&] { write_all(too_much, bytes); }) == Reason::link_failed);
  CHECK(reason_of([&] { read_exactly(too_much, bytes); }) == Reason::link_failed);
}
