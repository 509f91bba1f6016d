// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <vector>

#include <splitvit/transport/concepts.hpp>
#include <splitvit/transport/conformance.hpp>
#include <splitvit/transport/memory.hpp>
#include <splitvit/transport/simulated.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/links.hpp"

using namespace splitvit;
using namespace splitvit::transport;
using test::reason_of;

TEST_CASE("Simulated: keeps the contract, in small pieces and with delays, too", "[transport]") {
  check_transport([] {
    auto ends = memory_pair();
    return std::pair{
        Simulated{std::move(ends.first)},
        Simulated{std::move(ends.second), {.bits_per_second = 8e9, .pace = Pace::slept}}};
  });
}

TEST_CASE("Simulated: seconds of a known conversation", "[transport]") {
  auto ends = memory_pair();
  Simulated link{std::move(ends.first), {.bits_per_second = 8000, .latency_seconds = 0.5}};
  CHECK(link.clock()->seconds() == 0.0);
  const std::vector<std::byte> bytes(1000);
  std::vector<std::byte> back(500);
  write_all(link, std::span{bytes}.first(400));
  write_all(link, std::span{bytes}.subspan(400));  // the same turn: one latency
  CHECK(link.clock()->seconds() == Approx(1.0 + 0.5));
  write_all(ends.second, back);
  read_exactly(link, back);
  CHECK(link.clock()->seconds() == Approx(1.5 + 2 * 0.5));
  write_all(link, std::span{bytes}.first(1));
  CHECK(link.clock()->seconds() == Approx(1.501 + 3 * 0.5));
}

TEST_CASE("Simulated: slept time passes in truth", "[transport]") {
  auto ends = memory_pair();
  Simulated link{std::move(ends.first),
                 {.bits_per_second = 8e5, .latency_seconds = 0.01, .pace = Pace::slept}};
  const auto start = Clock::now();
  write_all(link, std::vector<std::byte>(2000));  // 0.02 s and 0.01 s
  const std::chrono::duration<double> passed = Clock::now() - start;
  CHECK(link.clock()->seconds() == Approx(0.03));
  CHECK(passed.count() >= 0.028);  // up to a millisecond is saved up
}

TEST_CASE("Simulated: options out of range", "[transport]") {
  const auto with = [](const LinkModel& model, const Faults& faults = {}) {
    Simulated link{memory_pair().first, model, faults};
  };
  CHECK_THROWS_AS(with({.bits_per_second = 0}), std::invalid_argument);
  CHECK_THROWS_AS(with({.latency_seconds = -1}), std::invalid_argument);
  CHECK_THROWS_AS(with({}, {.longest_delay_seconds = -1}), std::invalid_argument);
}

TEST_CASE("Simulated: flips exactly the bit that was asked for", "[transport]") {
  const auto sent = test::random_bytes(50);
  for (const std::uint64_t bit : {0u, 7u, 8u, 173u, 399u, 400u}) {
    auto ends = memory_pair();
    Simulated link{std::move(ends.first),
                   {},
                   {.longest_piece = 3,
                    .flip_sent_bit = bit,
                    .flip_received_bit = bit + 1,
                    .rng = {.seed = bit}}};
    auto expected_there = sent;
    auto expected_back = sent;
    if (bit < 400) expected_there[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    if (bit + 1 < 400)
      expected_back[(bit + 1) / 8] ^= static_cast<std::byte>(1u << ((bit + 1) % 8));
    std::vector<std::byte> received(50);
    write_all(link, sent);
    read_exactly(ends.second, received);
    CHECK(received == expected_there);
    write_all(ends.second, sent);
    read_exactly(link, received);
    CHECK(received == expected_back);
  }
}

TEST_CASE("Simulated: a cut ends the link for both sides", "[transport]") {
  const auto bytes = test::random_bytes(100);
  std::vector<std::byte> received(100);
  SECTION("while sending") {
    auto ends = memory_pair();
    Simulated link{std::move(ends.first), {}, {.cut_sent_at = 40}};
    CHECK(reason_of<TransportError>([&] { write_all(link, bytes); }) == Reason::closed);
    CHECK(ends.second.read_some(received) == 40);
    CHECK(ends.second.read_some(received) == 0);
    CHECK(reason_of([&] { link.read_some(received); }) == Reason::closed);
    CHECK_NOTHROW(link.set_deadline(no_deadline));
  }
  SECTION("while receiving") {
    auto ends = memory_pair();
    Simulated link{std::move(ends.first), {}, {.cut_received_at = 40}};
    write_all(ends.second, bytes);
    CHECK(reason_of<TransportError>([&] { read_exactly(link, received); }) == Reason::closed);
    CHECK(reason_of([&] { ends.second.write_some(bytes); }) == Reason::closed);
  }
}

TEST_CASE("Simulated: a byte goes out twice", "[transport]") {
  const auto bytes = test::random_bytes(100);
  for (const std::size_t at : {std::size_t{0}, std::size_t{40}, std::size_t{99}}) {
    auto ends = memory_pair();
    Simulated link{std::move(ends.first), {}, {.longest_piece = 7, .twice_sent_at = at}};
    write_all(link, bytes);
    auto expected = bytes;
    expected.insert(expected.begin() + static_cast<std::ptrdiff_t>(at), bytes[at]);
    std::vector<std::byte> received(101);
    read_exactly(ends.second, received);
    CHECK(received == expected);
  }
}

TEST_CASE("Simulated: half of the link is closed, the other half goes on", "[transport]") {
  const auto bytes = test::random_bytes(100);
  std::vector<std::byte> received(100);
  auto ends = memory_pair();
  Simulated link{std::move(ends.first), {}, {.longest_piece = 7, .end_received_at = 40}};
  write_all(ends.second, bytes);
  read_exactly(link, std::span{received}.first(40));
  CHECK(std::equal(received.begin(), received.begin() + 40, bytes.begin()));
  CHECK(link.read_some(received) == 0);
  CHECK(link.read_some(received) == 0);
  write_all(link, bytes);
  read_exactly(ends.second, received);
  CHECK(received == bytes);
}

TEST_CASE("Simulated: a cut wakes the thread of the other direction, and both ends see it",
          "[transport]") {
  auto ends = memory_pair();
  Simulated link{std::move(ends.first), {}, {.cut_sent_at = 40}};
  std::optional<Reason> reading;
  {
    const std::jthread reader{[&] {
      std::byte room;
      do {
        reading = reason_of([&] { link.read_some(std::span{&room, 1}); });
      } while (reading == Reason::timed_out);
    }};
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
    CHECK(reason_of([&] { write_all(link, test::random_bytes(100)); }) == Reason::closed);
  }
  CHECK(reading == Reason::closed);
  std::vector<std::byte> received(100);
  CHECK(ends.second.read_some(received) == 40);
  CHECK(ends.second.read_some(received) == 0);
}

TEST_CASE("Simulated: the same seed gives the same pieces", "[transport]") {
  const auto pieces = [](std::uint64_t seed) {
    auto ends = memory_pair();
    Simulated link{std::move(ends.first),
                   {},
                   {.longest_piece = 9, .longest_delay_seconds = 1e-5, .rng = {.seed = seed}}};
    std::vector<std::size_t> sizes;
    const std::vector<std::byte> bytes(100);
    for (int i = 0; i < 50; ++i) sizes.push_back(link.write_some(bytes));
    return sizes;
  };
  CHECK(pieces(1) == pieces(1));
  CHECK(pieces(1) != pieces(2));
  for (const std::size_t size : pieces(3)) CHECK((size >= 1 && size <= 9));
}
