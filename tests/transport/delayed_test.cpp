// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <splitvit/transport/any_link.hpp>
#include <splitvit/transport/conformance.hpp>
#include <splitvit/transport/delayed.hpp>
#include <splitvit/transport/memory.hpp>
#include <splitvit/transport/simulated.hpp>
#include <splitvit/transport/tcp.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/links.hpp"

using namespace splitvit;
using namespace splitvit::transport;
using namespace std::chrono_literals;
using test::random_bytes;
using test::reason_of;

static_assert(Transport<Delayed<MemoryLink>> && HasDeadline<Delayed<MemoryLink>>);
static_assert(Transport<Delayed<AnyLink>>);

namespace {

double seconds_since(Deadline start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

TEST_CASE("Delayed: keeps the contract, at one end or at both", "[transport]") {
  const LineModel fast{.bits_per_second = 2e9, .latency_seconds = 1e-3};
  check_transport(
      [=] {
        auto ends = memory_pair(5000);
        return std::pair{Delayed{std::move(ends.first), fast}, std::move(ends.second)};
      },
      {.large_transfer = std::size_t{1} << 20});
  check_transport([=] {
    auto ends = memory_pair();
    return std::pair{std::move(ends.first), Delayed{AnyLink{std::move(ends.second)}, fast}};
  });
  check_transport([=] {
    auto ends = memory_pair();
    return std::pair{Delayed{std::move(ends.first)}, Delayed{std::move(ends.second), fast}};
  });
  check_transport([=] {
    TcpListener listener;
    Delayed client{connect_tcp(listener.endpoint()), fast};
    return std::pair{std::move(client), listener.accept()};
  });
}

TEST_CASE("Delayed: a byte takes its time in either direction, and a write takes none",
          "[transport]") {
  auto ends = memory_pair();
  Delayed link{std::move(ends.first), {.bits_per_second = 8e5, .latency_seconds = 0.03}};
  const auto there = random_bytes(5000), back = random_bytes(7000);
  std::vector<std::byte> came_there(there.size()), came_back(back.size());
  std::byte one{};
  const auto start = Clock::now();
  write_all(link, there);
  ends.second.set_deadline(Clock::now());
  CHECK(reason_of([&] { ends.second.read_some(std::span{&one, 1}); }) == Reason::timed_out);
  ends.second.set_deadline(no_deadline);
  write_all(ends.second, back);
  std::jthread reads{[&] {
    read_exactly(link, came_back);
    CHECK(seconds_since(start) >= 0.03 + 0.07);
  }};
  read_exactly(ends.second, std::span{came_there}.first(1000));
  CHECK(seconds_since(start) >= 0.03 + 0.01);
  read_exactly(ends.second, std::span{came_there}.subspan(1000));
  CHECK(seconds_since(start) >= 0.03 + 0.05);
  reads.join();
  CHECK(came_there == there);
  CHECK(came_back == back);
}

TEST_CASE("Delayed: latency alone, and speed alone", "[transport]") {
  for (const LineModel& model :
       {LineModel{.latency_seconds = 0.05}, LineModel{.bits_per_second = 16'000}}) {
    auto ends = memory_pair();
    Delayed link{std::move(ends.first), model};
    std::vector<std::byte> bytes(100), came(100);
    const auto start = Clock::now();
    write_all(link, bytes);
    read_exactly(ends.second, came);
    CHECK(seconds_since(start) >= 0.05);
    write_all(ends.second, bytes);
    read_exactly(link, came);
    CHECK(seconds_since(start) >= 0.1);
  }
}

TEST_CASE("Delayed: most 4 MiB are on their way; then a write waits, and has its deadline",
          "[transport]") {
  auto ends = memory_pair();
  std::optional<Delayed<MemoryLink>> link{std::in_place, std::move(ends.first),
                                          LineModel{.latency_seconds = 1}};
  const std::vector<std::byte> bytes(std::size_t{1} << 20);
  for (int i = 0; i < 4; ++i) write_all(*link, bytes);
  const Deadline deadline = deadline_in(30ms);
  link->set_deadline(deadline);
  CHECK(reason_of([&] { link->write_some(bytes); }) == Reason::timed_out);
  CHECK(Clock::now() >= deadline);
  std::byte one{};
  CHECK(reason_of([&] { link->read_some(std::span{&one, 1}); }) == Reason::timed_out);
  // The peer is gone: what is on its way is lost, and nothing waits for it.
  std::optional<MemoryLink> peer{std::move(ends.second)};
  peer.reset();
  link.reset();
}

TEST_CASE("Delayed: what was written arrives though the link is destroyed", "[transport]") {
  auto ends = memory_pair();
  const auto bytes = random_bytes(2000);
  const auto start = Clock::now();
  {
    Delayed link{std::move(ends.first), {.bits_per_second = 8e5, .latency_seconds = 0.02}};
    write_all(link, bytes);
  }
  CHECK(seconds_since(start) >= 0.04);
  std::vector<std::byte> came(bytes.size());
  read_exactly(ends.second, came);
  CHECK(came == bytes);
  std::byte one{};
  CHECK(ends.second.read_some(std::span{&one, 1}) == 0);
}

TEST_CASE("Delayed: errors of the link within are passed on", "[transport]") {
  const auto bytes = random_bytes(1000);
  std::vector<std::byte> came(1000);
  {
    auto ends = memory_pair();
    Delayed link{Simulated{std::move(ends.first), {}, {.cut_received_at = 300}}};
    write_all(ends.second, bytes);
    read_exactly(link, std::span{came}.first(300));
    CHECK(reason_of([&] { link.read_some(came); }) == Reason::closed);
    CHECK(reason_of([&] { link.read_some(came); }) == Reason::closed);
  }
  auto ends = memory_pair();
  Delayed link{Simulated{std::move(ends.first), {}, {.cut_sent_at = 300}}};
  std::string text;
  CHECK(reason_of(
            [&] {
              while (true) write_all(link, bytes);
            },
            &text) == Reason::closed);
  CHECK_THAT(text, ContainsSubstring("the link was cut after 300 bytes"));
}

TEST_CASE("Delayed: models and links that do not do are refused", "[transport]") {
  const auto with = [](const LineModel& model) { Delayed link{memory_pair().first, model}; };
  CHECK_THROWS_AS(with({.bits_per_second = 0}), std::invalid_argument);
  CHECK_THROWS_AS(with({.bits_per_second = -1}), std::invalid_argument);
  CHECK_THROWS_AS(with({.latency_seconds = -1}), std::invalid_argument);
  AnyLink patient{test::WithoutDeadlines{memory_pair().first}};
  CHECK_THROWS_AS(Delayed{std::move(patient)}, std::invalid_argument);
}

TEST_CASE("DelayedListener: gives delayed links, and says which are ready", "[transport]") {
  TcpListener tcp;
  DelayedListener<TcpListener&> listener{tcp, {.latency_seconds = 0.05}};
  CHECK(listener.endpoint().port == tcp.endpoint().port);
  CHECK(listener.wait({}, Clock::now()) == std::vector<bool>{false});
  TcpLink client = connect_tcp(tcp.endpoint());
  CHECK(listener.wait({}, deadline_in(10s)) == std::vector<bool>{true});
  auto link = listener.accept();
  CHECK_FALSE(link.peer().empty());
  const std::vector<Delayed<TcpLink>*> links{&link};
  CHECK(listener.wait(links, Clock::now()) == std::vector<bool>{false, false});
  const auto start = Clock::now();
  const std::vector<std::byte> bytes(10);
  write_all(client, bytes);
  CHECK(listener.wait(links, deadline_in(10s)) == std::vector<bool>{true, false});
  CHECK(seconds_since(start) >= 0.05);
  std::vector<std::byte> came(10);
  read_exactly(link, came);
  listener.close();
  CHECK(listener.wait({}, deadline_in(10s)) == std::vector<bool>{true});
}
