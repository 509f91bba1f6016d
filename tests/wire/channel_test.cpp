// SPDX-License-Identifier: MIT
#include <thread>

#include <splitvit/transport/memory.hpp>
#include <splitvit/transport/metered.hpp>
#include <splitvit/transport/simulated.hpp>
#include <splitvit/wire/channel.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/links.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using test::bytes_of;
using test::random_bytes;
using test::reason_of;

TEST_CASE("Channel: messages over a link, counted like the link counts", "[wire]") {
  auto ends = transport::memory_pair(10'000);
  Channel client{transport::Metered{std::move(ends.first)}};
  Channel server{transport::Metered{transport::Simulated{
      std::move(ends.second), {}, {.longest_piece = 5000, .rng = {.seed = 1}}}}};
  client.begin(1, message_ceiling);
  server.begin(1, message_ceiling);
  const auto sent = random_bytes(3'000'000);
  {
    const std::jthread echo{[&] {
      std::vector<std::byte> payload;
      while (server.receive(payload) != MessageKind::bye)
        server.send(MessageKind::backward, payload);
    }};
    std::vector<std::byte> payload;
    for (const std::size_t size : {sent.size(), std::size_t{0}, std::size_t{77}}) {
      client.send(MessageKind::forward, Bytes{sent}.first(size));
      receive_expected(client, MessageKind::backward, payload);
      CHECK(std::ranges::equal(payload, Bytes{sent}.first(size)));
    }
    client.send(MessageKind::bye);
  }
  CHECK(client.sent().total().framed == client.link().sent());
  CHECK(client.received().total().framed == client.link().received());
  CHECK(server.sent().total().framed == server.link().sent());
  CHECK(server.received().total() == client.sent().total());
  CHECK(client.received().count(MessageKind::backward).payload == 3'000'077);
  CHECK(client.sent().count(MessageKind::bye).framed == 32);
}

TEST_CASE("Channel: works one byte at a time", "[wire]") {
  std::deque<std::byte> queue;
  Channel channel{test::TrickleLink{queue}};
  channel.send(MessageKind::hello, bytes_of("good day"));
  std::vector<std::byte> payload;
  CHECK(channel.receive(payload) == MessageKind::hello);
  CHECK(payload == bytes_of("good day"));
}

TEST_CASE("receive_message: a peer that closes, or a link that lies", "[wire]") {
  std::vector<std::byte> payload;
  Channel ended{test::ScriptLink{{}}};
  CHECK(reason_of<TransportError>([&] { ended.receive(payload); }) == Reason::closed);
  Channel lying{test::LyingLink{.claim = 1000}};
  CHECK(reason_of<TransportError>([&] { lying.receive(payload); }) == Reason::link_failed);
}

TEST_CASE("receive_expected: another kind, or an error of the peer", "[wire]") {
  auto ends = transport::memory_pair();
  Channel here{std::move(ends.first)};
  Channel there{std::move(ends.second)};
  std::vector<std::byte> payload;
  std::string text;
  there.send(MessageKind::bye);
  CHECK(reason_of<WireError>([&] { receive_expected(here, MessageKind::forward, payload); },
                             &text) == Reason::wrong_message);
  CHECK_THAT(text, ContainsSubstring("bye came where forward was expected"));
  send_error(there, Reason::not_finite, "the loss is NaN");
  CHECK(reason_of<WireError>([&] { receive_expected(here, MessageKind::forward, payload); },
                             &text) == Reason::peer_failed);
  CHECK_THAT(text, ContainsSubstring("the loss is NaN"));
}
