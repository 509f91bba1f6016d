// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <splitvit/transport/any_link.hpp>
#include <splitvit/transport/conformance.hpp>
#include <splitvit/transport/simulated.hpp>
#include <splitvit/transport/tcp.hpp>
#include <splitvit/transport/tls.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "tls/pairs.hpp"

using namespace splitvit;
using namespace splitvit::transport;
using namespace std::chrono_literals;
using test::Contexts;
using test::reason_of;
using test::tls_pair;

static_assert(Transport<TlsLink<MemoryLink>> && HasDeadline<TlsLink<MemoryLink>>);
static_assert(Transport<TlsLink<AnyLink>> && Transport<TlsLink<TcpLink>>);

TEST_CASE("TlsLink: keeps the contract of a link", "[tls]") {
  const test::SharedKey key;
  const Contexts contexts{key};
  check_transport([contexts] { return tls_pair(contexts); });
  check_transport([contexts] { return tls_pair(contexts, 3000); }, {.large_transfer = 1 << 18});
}

TEST_CASE("TlsLink: keeps the contract over TCP, with certificates", "[tls]") {
  test::Authority authority;
  const Contexts contexts{authority.party({.name = "client"}, "127.0.0.1"),
                          authority.party({.name = "server", .alternatives = "IP:127.0.0.1"})};
  check_transport([contexts] {
    TlsListener listener{TcpListener{}, contexts.server};
    TlsLink client{connect_tcp(listener.endpoint()), contexts.client};
    return std::pair{std::move(client), listener.accept()};
  });
}

TEST_CASE("TlsLink: keeps the contract in pieces of any size, below and above", "[tls]") {
  const test::SharedKey key;
  const Contexts contexts{key};
  check_transport(
      [contexts] {
        auto ends = memory_pair();
        TlsLink client{Simulated{AnyLink{std::move(ends.first)}, {}, {.longest_piece = 100}},
                       contexts.client};
        TlsLink server{std::move(ends.second), contexts.server};
        return std::pair{AnyLink{std::move(client)}, AnyLink{std::move(server)}};
      },
      {.large_transfer = 1 << 17});
}

TEST_CASE("TlsLink: needs a link that can stop waiting", "[tls]") {
  struct Patient {
    MemoryLink link;
    std::size_t read_some(std::span<std::byte> into) { return link.read_some(into); }
    std::size_t write_some(std::span<const std::byte> from) { return link.write_some(from); }
  };
  const test::SharedKey key;
  const Contexts contexts{key};
  CHECK_THROWS_WITH((TlsLink{AnyLink{Patient{memory_pair().first}}, contexts.client}),
                    ContainsSubstring("wanted a link that can stop waiting"));
}

TEST_CASE("TlsLink: a silent peer is not waited for in the handshake", "[tls]") {
  const test::SharedKey key;
  const Contexts contexts{key};
  auto [client_end, server_end] = memory_pair();
  std::byte room{};
  TlsLink server{std::move(server_end), contexts.server};
  const auto read = [&] { server.read_some(std::span{&room, 1}); };
  server.set_deadline(deadline_in(20ms));
  CHECK(reason_of(read) == Reason::timed_out);
  TlsLink client{std::move(client_end), contexts.client};
  const auto write = [&] { client.write_some(std::span{&room, 1}); };
  client.set_deadline(deadline_in(20ms));
  CHECK(reason_of(write) == Reason::timed_out);
  CHECK(server.identity().empty());
  // One that reads and one that writes: one of them waits for the other's handshake.
  client.set_deadline(deadline_in(50ms));
  std::optional<Reason> other;
  {
    const std::jthread reader{
        [&] { other = reason_of([&] { client.read_some(std::span{&room, 1}); }); }};
    CHECK(reason_of(write) == Reason::timed_out);
  }
  CHECK(other == Reason::timed_out);
}

TEST_CASE("TlsLink: what could not be written in time is written later, once", "[tls]") {
  const test::SharedKey key;
  const Contexts contexts{key};
  auto ends = tls_pair(contexts, 5000);
  auto &client = ends.first, &server = ends.second;
  const auto bytes = test::random_bytes(100'000);
  std::vector<std::byte> received(1);
  {
    const std::jthread reader{[&] { read_exactly(server, received); }};
    write_all(client, std::span{bytes}.first(1));
  }
  std::size_t taken = 1, timeouts = 0;
  server.set_deadline(Clock::now());
  client.set_deadline(Clock::now());
  while (taken < bytes.size()) {
    const auto write = [&] { taken += client.write_some(std::span{bytes}.subspan(taken)); };
    if (reason_of(write) == Reason::timed_out) ++timeouts;
    reason_of([&] {
      std::array<std::byte, 3000> room;
      const std::size_t n = server.read_some(room);
      received.insert(received.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(n));
    });
  }
  CHECK(timeouts > 10);
  std::vector<std::byte> rest(bytes.size() - received.size());
  server.set_deadline(deadline_in(10s));
  read_exactly(server, rest);
  received.insert(received.end(), rest.begin(), rest.end());
  CHECK(received == bytes);
}

TEST_CASE("TlsLink: other bytes after a timeout are refused", "[tls]") {
  const test::SharedKey key;
  const Contexts contexts{key};
  auto ends = tls_pair(contexts, 500);
  auto &client = ends.first, &server = ends.second;
  const auto bytes = test::random_bytes(50'000);
  std::byte room{};
  {
    const std::jthread reader{[&] { server.read_some(std::span{&room, 1}); }};
    write_all(client, std::span{bytes}.first(1));
  }
  client.set_deadline(Clock::now());
  const std::size_t taken = client.write_some(bytes);  // as much as there was room for
  CHECK(taken <= 500);
  CHECK(reason_of([&] { client.write_some(std::span{bytes}.subspan(taken)); }) ==
        Reason::timed_out);
  std::string text;
  CHECK(reason_of([&] { client.write_some(test::bytes_of("something else")); }, &text) ==
        Reason::link_failed);
  CHECK_THAT(text, ContainsSubstring("other bytes are written"));
}

TEST_CASE("TlsLink: a link that ends without a goodbye is no end of the bytes", "[tls]") {
  const test::SharedKey key;
  const Contexts contexts{key};
  auto ends = memory_pair();
  TlsLink server{std::move(ends.second), contexts.server};
  std::optional<Reason> reading;
  {
    const std::jthread reader{[&] {
      std::vector<std::byte> room(1000);
      reading = reason_of<TransportError>([&] { read_exactly(server, room); });
    }};
    TlsLink client{Simulated{std::move(ends.first), {}, {.cut_sent_at = 900}}, contexts.client};
    const auto write = [&] { write_all(client, test::random_bytes(1000)); };
    CHECK(reason_of(write) == Reason::closed);
  }
  CHECK(reading == Reason::closed);
}

TEST_CASE("TlsLink: every flipped bit ends the link, and no wrong byte is read", "[tls]") {
  const test::SharedKey key;
  const Contexts contexts{key};
  const auto sent = test::random_bytes(300);
  std::size_t passed = 0;
  for (std::uint64_t bit = 3; bit < 8 * 600; bit += 41) {
    auto ends = memory_pair();
    std::vector<std::byte> received;
    std::string error;
    {
      const std::jthread reader{[&, end = std::move(ends.second)]() mutable {
        TlsLink server{std::move(end), contexts.server};
        server.set_deadline(deadline_in(10s));
        std::vector<std::byte> room(sent.size());
        reason_of(
            [&] {
              while (const std::size_t n = server.read_some(room))
                received.insert(received.end(), room.begin(),
                                room.begin() + static_cast<std::ptrdiff_t>(n));
            },
            &error);
      }};
      reason_of([&] {
        TlsLink client{Simulated{std::move(ends.first), {}, {.flip_sent_bit = bit}},
                       contexts.client};
        client.set_deadline(deadline_in(2s));
        write_all(client, sent);
      });
    }
    CAPTURE(bit, error);
    REQUIRE(received.size() <= sent.size());
    CHECK(std::equal(received.begin(), received.end(), sent.begin()));
    // Without an error: all of it, or the client has given up the handshake.
    CHECK((!error.empty() || received == sent || received.empty()));
    if (received == sent) ++passed;
  }
  CHECK(passed < 4);  // some bits mean nothing, such as those of the version of a record
}

TEST_CASE("TlsLink: keys are changed on the way", "[tls]") {
  const test::SharedKey key;
  auto options = key.options();
  options.records_per_key = 3;
  const Contexts contexts{options, options};
  auto ends = tls_pair(contexts);
  auto &client = ends.first, &server = ends.second;
  const auto bytes = test::random_bytes(100'000);
  std::vector<std::byte> received(bytes.size());
  const std::jthread writer{[&] {
    for (std::size_t at = 0; at < bytes.size(); at += 1000)
      write_all(client, std::span{bytes}.subspan(at, 1000));
  }};
  read_exactly(server, received);
  CHECK(received == bytes);
}

TEST_CASE("TlsListener: waits for bytes, also for those that have come already", "[tls]") {
  const test::SharedKey key;
  const Contexts contexts{key};
  TlsListener listener{TcpListener{}, contexts.server};
  TlsLink client{connect_tcp(listener.endpoint()), contexts.client};
  CHECK(listener.wait({}, deadline_in(10s)) == std::vector{true});
  auto server = listener.accept(deadline_in(10s));
  CHECK(server.peer().starts_with("127.0.0.1:"));
  std::array links{&server};
  CHECK(listener.wait(links, Clock::now()) == std::vector{false, false});
  const std::jthread writer{[&client] { write_all(client, test::random_bytes(2)); }};
  std::byte room{};
  std::size_t read = 0;
  while (read == 0) {  // the handshake takes several
    REQUIRE(listener.wait(links, deadline_in(10s)) == std::vector{true, false});
    server.set_deadline(Clock::now());
    reason_of([&] { read = server.read_some(std::span{&room, 1}); });
  }
  CHECK(server.identity() == "holder of the pre-shared key");
  CHECK(listener.wait(links, deadline_in(10s)) == std::vector{true, false});
  CHECK(server.read_some(std::span{&room, 1}) == 1);
  listener.close();
  CHECK(reason_of([&] { listener.accept(); }) == Reason::closed);
}
