// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <splitvit/transport/memory.hpp>
#include <splitvit/wire/unadmitted.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using namespace std::chrono_literals;
using test::reason_of;
using transport::MemoryLink;

namespace {

/// Connections at a server, in virtual time, and the clients' ends.
struct Crowd {
  explicit Crowd(std::size_t most = 8) : unadmitted{most, {}} {}

  MemoryLink& come() {
    auto [client_end, server_end] = transport::memory_pair();
    unadmitted.add(std::move(server_end), now);
    clients.push_back(std::make_unique<MemoryLink>(std::move(client_end)));
    return *clients.back();
  }
  /// Everything that has come is read.
  void read() {
    for (int turn = 0; turn < 5; ++turn)
      unadmitted.read(unadmitted.links(), now, [&](MemoryLink&, const ReasonedError& error) {
        reasons.push_back(error.reason());
      });
  }
  std::optional<Unadmitted<MemoryLink>::Entry> take() {
    return unadmitted.take_if([](const Hello&, Time) { return true; });
  }
  static bool is_closed(MemoryLink& client) {
    std::vector<std::byte> room(1000);
    client.set_deadline(Time{});
    try {
      while (client.read_some(room) > 0) {
      }
      return true;
    } catch (const TransportError&) {
      return false;
    }
  }

  Time now = Time{} + 1h;
  Unadmitted<MemoryLink> unadmitted;
  std::vector<std::unique_ptr<MemoryLink>> clients;
  std::vector<Reason> reasons;
};

std::vector<std::byte> hello_frame(const SessionOptions& options = {}) {
  SessionState state;
  auto session = Session::client(state, {{"cut", "6"}}, options, Time{});
  const Bytes out = session.output();
  return {out.begin(), out.end()};
}

}  // namespace

TEST_CASE("Unadmitted: a hello is found among those that are silent or dribble", "[wire]") {
  Crowd crowd;
  const auto hello = hello_frame();
  crowd.come();
  MemoryLink& slow = crowd.come();
  MemoryLink& good = crowd.come();
  transport::write_all(slow, Bytes{hello}.first(40));
  transport::write_all(good, hello);
  crowd.read();
  CHECK(crowd.unadmitted.links().size() == 2);
  CHECK_FALSE(crowd.unadmitted.take_if([&](const Hello& came, Time since) {
    CHECK(came.settings == Settings{{"cut", "6"}});
    CHECK(since == crowd.now);
    return false;
  }));
  auto taken = crowd.take();
  REQUIRE(taken);
  CHECK(taken->session.hello().settings == Settings{{"cut", "6"}});
  CHECK_FALSE(crowd.take());
  for (std::size_t i = 40; i < hello.size(); ++i) {
    transport::write_all(slow, Bytes{hello}.subspan(i, 1));
    crowd.read();
  }
  CHECK(crowd.take());
  CHECK(crowd.unadmitted.size() == 1);
  CHECK(crowd.reasons.empty());
}

TEST_CASE("Unadmitted: each has the time of a handshake of its own", "[wire]") {
  Crowd crowd;
  const auto hello = hello_frame();
  MemoryLink& first = crowd.come();
  crowd.now += 5s;
  MemoryLink& second = crowd.come();
  for (int second_of_time = 0; second_of_time < 4; ++second_of_time) {
    crowd.now += 1s;
    transport::write_all(first, Bytes{hello}.subspan(static_cast<std::size_t>(second_of_time), 1));
    crowd.read();
  }
  CHECK(crowd.reasons.empty());
  crowd.now += 1s;  // bytes have come meanwhile, but the handshake has one deadline
  crowd.read();
  CHECK(crowd.reasons == std::vector{Reason::timed_out});
  CHECK(crowd.is_closed(first));
  CHECK_FALSE(crowd.is_closed(second));
  crowd.now += 5s;
  crowd.read();
  CHECK(crowd.unadmitted.size() == 0);
}

TEST_CASE("Unadmitted: garbage, another version and a closed link end one connection alone",
          "[wire]") {
  Crowd crowd;
  MemoryLink& garbage = crowd.come();
  MemoryLink& other = crowd.come();
  crowd.come();
  MemoryLink& good = crowd.come();
  transport::write_all(garbage, test::random_bytes(1000));
  transport::write_all(other, hello_frame({.versions = {7, 9}}));
  crowd.clients[2].reset();
  transport::write_all(good, hello_frame());
  crowd.read();
  std::ranges::sort(crowd.reasons);
  CHECK(crowd.reasons == std::vector{Reason::bad_magic, Reason::refused, Reason::closed});
  CHECK(crowd.is_closed(garbage));
  CHECK(crowd.is_closed(other));
  CHECK(crowd.take());
}

TEST_CASE("Unadmitted: where there are too many, the oldest is closed", "[wire]") {
  Crowd crowd{3};
  MemoryLink& first = crowd.come();
  for (int i = 0; i < 2; ++i) crowd.come();
  CHECK_FALSE(crowd.is_closed(first));
  MemoryLink& good = crowd.come();
  CHECK(crowd.is_closed(first));
  CHECK(crowd.unadmitted.size() == 3);
  transport::write_all(good, hello_frame());
  crowd.read();
  CHECK(crowd.take());
  CHECK_THROWS_AS((Unadmitted<MemoryLink>{0, {}}), std::invalid_argument);
}

TEST_CASE("Unadmitted: where there cannot be so many, the older half goes, and fewer are allowed",
          "[wire]") {
  Crowd crowd{16};
  for (int i = 0; i < 10; ++i) crowd.come();
  CHECK(crowd.unadmitted.shrink());
  CHECK(crowd.unadmitted.size() == 5);
  CHECK(crowd.is_closed(*crowd.clients[4]));
  CHECK_FALSE(crowd.is_closed(*crowd.clients[5]));
  crowd.come();
  CHECK(crowd.unadmitted.size() == 5);
  CHECK(crowd.is_closed(*crowd.clients[5]));
  CHECK(crowd.unadmitted.shrink());
  CHECK(crowd.unadmitted.size() == 4);
  CHECK_FALSE(crowd.unadmitted.shrink());
  MemoryLink& good = crowd.come();
  transport::write_all(good, hello_frame());
  crowd.read();
  CHECK(crowd.take());
}

TEST_CASE("Unadmitted: a peer takes little memory, whatever it claims", "[wire]") {
  Crowd crowd;
  MemoryLink& greedy = crowd.come();
  std::vector<std::byte> claim;
  put_header(claim, {.kind = MessageKind::hello, .length = 4097});
  transport::write_all(greedy, claim);
  crowd.read();
  CHECK(crowd.reasons == std::vector{Reason::too_long});
}

TEST_CASE("write_now: writes what fits and does not wait", "[wire]") {
  auto [near, far] = transport::memory_pair(10);
  SessionState state;
  auto session = Session::client(state, {}, {}, Time{});
  const std::size_t size = session.output().size();
  write_now(near, session, Time{});
  CHECK(session.output().size() == size - 10);
  std::vector<std::byte> room(100);
  CHECK(far.read_some(room) == 10);
}
