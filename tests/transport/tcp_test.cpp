// SPDX-License-Identifier: MIT
#include <thread>

#include <splitvit/transport/concepts.hpp>
#include <splitvit/transport/conformance.hpp>
#include <splitvit/transport/tcp.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::transport;
using namespace std::chrono_literals;
using test::reason_of;

namespace {

std::pair<TcpLink, TcpLink> tcp_pair(const Endpoint& on = {}, const ListenOptions& listen = {},
                                     const ConnectOptions& connect = {}) {
  TcpListener listener{on, listen};
  TcpLink client = connect_tcp(listener.endpoint(), connect);
  return {std::move(client), listener.accept(deadline_in(10s))};
}

/// A port on which nobody listens.
Endpoint free_endpoint() { return TcpListener{}.endpoint(); }

bool has_ipv6() {
  return !reason_of([] { TcpListener listener{{.host = "::1"}}; });
}

}  // namespace

TEST_CASE("TcpLink: keeps the contract", "[transport][tcp]") {
  check_transport([] { return tcp_pair(); });
}

TEST_CASE("TcpLink: keeps the contract over IPv6", "[transport][tcp]") {
  if (!has_ipv6()) return;
  check_transport([] { return tcp_pair({.host = "::1"}); }, {.large_transfer = 100'000});
}

TEST_CASE("TcpListener: on loopback and a port of its own unless told otherwise",
          "[transport][tcp]") {
  TcpListener listener;
  CHECK(listener.endpoint().host == "127.0.0.1");
  CHECK(listener.endpoint().port != 0);
  CHECK(connect_tcp(listener.endpoint()).peer() == listener.endpoint().text());
}

TEST_CASE("TcpListener: localhost is where callers of 127.0.0.1 look", "[transport][tcp]") {
  TcpListener listener{{.host = "localhost"}};
  CHECK(listener.endpoint().host == "127.0.0.1");
}

TEST_CASE("TcpListener: on every address of this machine", "[transport][tcp]") {
  TcpListener all{{.host = "0.0.0.0"}};
  CHECK_NOTHROW(connect_tcp({.host = "127.0.0.1", .port = all.endpoint().port}));
  if (!has_ipv6()) return;
  TcpListener both{{.host = "::"}};
  CHECK_NOTHROW(connect_tcp({.host = "::1", .port = both.endpoint().port}));
}

TEST_CASE("TcpListener: an address of another machine", "[transport][tcp]") {
  // 192.0.2.0/24 is for documentation only (RFC 5737).
  std::string text;
  CHECK(reason_of<TransportError>([] { TcpListener other{{.host = "192.0.2.1"}}; }, &text) ==
        Reason::link_failed);
  CHECK(text.starts_with("listening on 192.0.2.1:0: no address of this machine"));
}

TEST_CASE("TcpListener: a port that is taken", "[transport][tcp]") {
  const TcpListener first;
  std::string text;
  CHECK(reason_of<TransportError>([&] { TcpListener second{first.endpoint()}; }, &text) ==
        Reason::link_failed);
  CHECK(text.starts_with("listening on " + first.endpoint().text() + ": "));
}

TEST_CASE("TcpListener: accept gives up at the deadline", "[transport][tcp]") {
  TcpListener listener;
  CHECK(reason_of<TransportError>([&] { listener.accept(deadline_in(10ms)); }) ==
        Reason::timed_out);
}

TEST_CASE("TcpListener: close wakes accept, now and later", "[transport][tcp]") {
  TcpListener listener;
  {
    const std::jthread closes{[&] {
      std::this_thread::sleep_for(10ms);
      listener.close();
    }};
    CHECK(reason_of<TransportError>([&] { listener.accept(); }) == Reason::closed);
  }
  CHECK(reason_of([&] { listener.accept(); }) == Reason::closed);
}

TEST_CASE("connect_tcp: nobody there", "[transport][tcp]") {
  const Endpoint endpoint = free_endpoint();
  std::string text;
  CHECK(reason_of<TransportError>([&] { connect_tcp(endpoint); }, &text) == Reason::cannot_connect);
  CHECK(text == "connecting to " + endpoint.text() + ": nobody listens there");
  CHECK(reason_of<TransportError>([] { connect_tcp({.host = "not a host", .port = 7000}); }) ==
        Reason::cannot_connect);
  CHECK(reason_of<TransportError>([] { TcpListener{{.host = "not a host"}}; }) ==
        Reason::cannot_connect);
}

TEST_CASE("connect_tcp: waits for a server that starts a moment later", "[transport][tcp]") {
  const Endpoint endpoint = free_endpoint();
  std::optional<Reason> reason = Reason::closed;
  {
    const std::jthread connects{
        [&] { reason = reason_of([&] { connect_tcp(endpoint, {.retry_for = 10s}); }); }};
    std::this_thread::sleep_for(30ms);
    TcpListener listener{endpoint};
    CHECK_NOTHROW(listener.accept(deadline_in(10s)));
  }
  CHECK(reason == std::nullopt);
}

TEST_CASE("connect_tcp: gives up on a host that does not answer", "[transport][tcp]") {
  TcpListener listener{{}, {.backlog = 0}};
  std::vector<TcpLink> waiting;  // fill the queue of those to be accepted
  std::optional<Reason> reason;
  for (int i = 0; i < 8 && !reason; ++i)
    reason =
        reason_of([&] { waiting.push_back(connect_tcp(listener.endpoint(), {.timeout = 50ms})); });
  CHECK(reason == Reason::timed_out);
}

TEST_CASE("TcpLink: a peer that is silent", "[transport][tcp]") {
  auto ends = tcp_pair();
  std::byte b{};
  ends.first.set_deadline(deadline_in(10ms));
  std::string text;
  CHECK(reason_of<TransportError>([&] { ends.first.read_some(std::span{&b, 1}); }, &text) ==
        Reason::timed_out);
  CHECK_THAT(text, ContainsSubstring(ends.first.peer()));
}

TEST_CASE("TcpLink: a peer that does not read", "[transport][tcp]") {
  auto ends = tcp_pair({}, {}, {.write_stall = 50ms});
  const std::vector<std::byte> bytes(std::size_t{64} << 20);
  CHECK(reason_of<TransportError>([&] { write_all(ends.first, bytes); }) == Reason::timed_out);
}

TEST_CASE("TcpLink: writing to a peer that has closed is an error and no signal",
          "[transport][tcp]") {
  auto ends = tcp_pair();
  {
    const TcpLink closing{std::move(ends.second)};
  }
  const std::vector<std::byte> bytes(1000);
  const auto reason = reason_of<TransportError>([&] {
    for (int i = 0; i < 1000; ++i) write_all(ends.first, bytes);
  });
  CHECK(reason == Reason::closed);
}

TEST_CASE("TcpLink: what was written before closing arrives, even if not all was read",
          "[transport][tcp]") {
  auto ends = tcp_pair();
  auto answer = test::random_bytes(4'000'000);
  write_all(ends.first, test::random_bytes(5000));  // is never read
  answer.resize(ends.second.write_some(answer));    // as much as the system holds by itself
  {
    const TcpLink closing{std::move(ends.second)};
  }
  std::vector<std::byte> received(answer.size());
  read_exactly(ends.first, received);
  CHECK(received == answer);
  CHECK(ends.first.read_some(received) == 0);  // an end, not a reset
}
