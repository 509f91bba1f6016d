// SPDX-License-Identifier: MIT
#include <thread>

#include <splitvit/transport/concepts.hpp>
#include <splitvit/transport/conformance.hpp>
#include <splitvit/transport/memory.hpp>
#include <splitvit/transport/metered.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/links.hpp"

using namespace splitvit;
using namespace splitvit::transport;
using namespace std::chrono_literals;

TEST_CASE("Metered: keeps the contract", "[transport]") {
  check_transport([] {
    auto ends = memory_pair();
    return std::pair{Metered{std::move(ends.first)}, Metered{std::move(ends.second)}};
  });
}

TEST_CASE("Metered: counts what has passed, not what was asked for", "[transport]") {
  auto ends = memory_pair(10);
  Metered link{std::move(ends.first)};
  std::vector<std::byte> bytes(16);
  CHECK(link.write_some(bytes) == 10);
  CHECK(link.traffic()->sent() == 10);
  CHECK(link.traffic()->received() == 0);
  write_all(ends.second, std::span{bytes}.first(3));
  CHECK(link.read_some(bytes) == 3);
  CHECK(link.traffic()->received() == 3);
  CHECK(link.traffic()->sent() == 10);

  link.set_deadline(Clock::now());
  CHECK(test::reason_of([&] { link.write_some(bytes); }) == Reason::timed_out);
  CHECK(link.traffic()->sent() == 10);
}

TEST_CASE("Metered: counters outlive the link and see it move", "[transport]") {
  auto ends = memory_pair();
  std::shared_ptr<const Traffic> traffic;
  {
    Metered link{std::move(ends.first)};
    traffic = link.traffic();
    auto moved = std::move(link);
    write_all(moved, test::bytes_of("four"));
  }
  CHECK(traffic->sent() == 4);
}

TEST_CASE("Metered: measures the time spent waiting", "[transport]") {
  auto ends = memory_pair();
  Metered link{std::move(ends.first)};
  link.set_deadline(Clock::now() + 20ms);
  std::byte b;
  CHECK(test::reason_of([&] { link.read_some(std::span{&b, 1}); }) == Reason::timed_out);
  CHECK(link.traffic()->read_seconds() >= 0.015);
  CHECK(link.traffic()->write_seconds() == 0.0);
}

TEST_CASE("Metered: another thread may look on", "[transport]") {
  auto ends = memory_pair(100);
  Metered link{std::move(ends.first)};
  const auto traffic = link.traffic();
  constexpr std::uint64_t total = 100'000;
  const std::jthread reads{[&] {
    std::vector<std::byte> bytes(total);
    read_exactly(ends.second, bytes);
  }};
  const std::jthread looks{[traffic] {
    std::uint64_t last = 0;
    while (last < total) {
      const std::uint64_t now = traffic->sent();
      if (now < last) return;
      last = now;
    }
  }};
  write_all(link, std::vector<std::byte>(total));
  CHECK(link.traffic()->sent() == total);
}
