// SPDX-License-Identifier: MIT
#include <splitvit/transport/stream.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/links.hpp"

using namespace splitvit;
using namespace splitvit::transport;
using test::reason_of;

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
  CHECK_THAT(text, ContainsSubstring("after 5 of 6 bytes"));
}

TEST_CASE("write_all, read_exactly: a link that lies about its counts", "[transport]") {
  std::vector<std::byte> bytes(4);
  test::LyingLink nothing{.claim = 0};
  test::LyingLink too_much{.claim = 5};
  CHECK(reason_of([&] { write_all(nothing, bytes); }) == Reason::link_failed);
  CHECK(reason_of([&] { write_all(too_much, bytes); }) == Reason::link_failed);
  CHECK(reason_of([&] { read_exactly(too_much, bytes); }) == Reason::link_failed);
}
