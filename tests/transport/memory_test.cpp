// SPDX-License-Identifier: MIT
#include <thread>

#include <splitvit/transport/concepts.hpp>
#include <splitvit/transport/conformance.hpp>
#include <splitvit/transport/memory.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::transport;
using namespace std::chrono_literals;
using test::reason_of;

TEST_CASE("memory_pair: keeps the contract", "[transport]") {
  check_transport([] { return memory_pair(); });
  check_transport([] { return memory_pair(13); }, {.large_transfer = 50'000});
}

TEST_CASE("memory_pair: no room is no link", "[transport]") {
  CHECK_THROWS_AS(memory_pair(0), std::invalid_argument);
}

TEST_CASE("MemoryLink: takes what there is room for, then waits", "[transport]") {
  auto ends = memory_pair(10);
  const auto bytes = test::random_bytes(16);
  CHECK(ends.first.write_some(bytes) == 10);
  ends.first.set_deadline(Clock::now());
  CHECK(reason_of<TransportError>([&] { ends.first.write_some(bytes); }) == Reason::timed_out);
  std::vector<std::byte> half(5);
  CHECK(ends.second.read_some(half) == 5);
  CHECK(ends.first.write_some(std::span{bytes}.subspan(10)) == 5);  // around the end of the ring
  std::vector<std::byte> rest(20);
  CHECK(ends.second.read_some(rest) == 10);
  rest.resize(10);
  CHECK(rest == std::vector<std::byte>(bytes.begin() + 5, bytes.begin() + 15));
}

TEST_CASE("MemoryLink: a new deadline reaches a call that waits", "[transport]") {
  auto ends = memory_pair();
  MemoryLink& link = ends.first;
  std::optional<Reason> reason;
  {
    const std::jthread reads{[&] {
      std::byte b;
      reason = reason_of([&] { link.read_some(std::span{&b, 1}); });
    }};
    std::this_thread::sleep_for(10ms);
    link.set_deadline(Clock::now());
  }
  CHECK(reason == Reason::timed_out);
}

TEST_CASE("MemoryLink: assigning over an end closes it", "[transport]") {
  auto old = memory_pair();
  auto fresh = memory_pair();
  old.first = std::move(fresh.first);
  std::byte b{};
  CHECK(old.second.read_some(std::span{&b, 1}) == 0);
  CHECK(reason_of([&] { old.second.write_some(std::span{&b, 1}); }) == Reason::closed);
  CHECK(old.first.write_some(std::span{&b, 1}) == 1);
  CHECK(fresh.second.read_some(std::span{&b, 1}) == 1);
}
