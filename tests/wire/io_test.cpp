// SPDX-License-Identifier: MIT
#include <thread>

#include <splitvit/transport/memory.hpp>
#include <splitvit/transport/metered.hpp>
#include <splitvit/transport/simulated.hpp>
#include <splitvit/wire/io.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/links.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using namespace std::chrono_literals;
using test::bytes_of;
using test::random_bytes;
using test::reason_of;

namespace {

Time real_now() { return transport::Clock::now(); }

/// A client and a server in two threads, over any two ends: `client` and `server` get an open
/// session. Returns how each side ended.
struct BothEnds {
  std::optional<Reason> client, server;
  std::string client_text, server_text;
  SessionState at_client, at_server;
};
template <class A, class B, class Client, class Server>
void run_both(BothEnds& both, A& near, B& far, const SessionOptions& options, Client&& client,
              Server&& server) {
  const std::jthread serving{[&] {
    B link = std::move(far);  // closed at the end of this thread
    auto session = Session::server(options, real_now());
    both.server = reason_of(
        [&] {
          try {
            next(link, session, MessageKind::hello);
            session.admit(both.at_server);
            flush(link, session);
            server(link, session);
          } catch (const ReasonedError& error) {
            tell(link, session, error);
            throw;
          }
        },
        &both.server_text);
    far = std::move(link);
    if (both.server) const B closing = std::move(far);
  }};
  A link = std::move(near);
  auto session = Session::client(both.at_client, {}, options, real_now());
  both.client = reason_of(
      [&] {
        flush(link, session);
        next(link, session, MessageKind::welcome);
        client(link, session);
      },
      &both.client_text);
  near = std::move(link);
  if (both.client) const A closing = std::move(near);
}

/// Answers every step with what came, until bye.
template <class Link>
void echo_steps(Link& link, Session& session) {
  while (true) {
    const Event event = next(link, session);
    if (event.kind == MessageKind::bye) return;
    session.new_reply().assign(event.payload.begin(), event.payload.end());
    session.prepare();
    session.commit();
    flush(link, session);
  }
}

}  // namespace

TEST_CASE("next, flush: messages over a link, counted like the link counts", "[wire]") {
  auto ends = transport::memory_pair(10'000);
  transport::Metered near{std::move(ends.first)};
  transport::Metered far{transport::Simulated{
      std::move(ends.second), {}, {.longest_piece = 5000, .rng = {.seed = 1}}}};
  const auto up = near.traffic();
  const auto down = far.traffic();
  const auto sent = random_bytes(3'000'000);
  BothEnds both;
  run_both(
      both, near, far, {},
      [&](auto& link, Session& session) {
        for (const std::size_t size : {sent.size(), std::size_t{0}, std::size_t{77}}) {
          session.send_step(std::array{Bytes{sent}.first(size)});
          flush(link, session);
          const Event event = next(link, session, MessageKind::backward);
          CHECK(std::ranges::equal(event.payload, Bytes{sent}.first(size)));
          session.commit();
        }
        session.send(MessageKind::bye);
        flush(link, session);
      },
      [](auto& link, Session& session) { echo_steps(link, session); });
  CHECK(both.client == std::nullopt);
  CHECK(both.server == std::nullopt);
  CHECK(both.at_client.sent.total().framed == up->sent());
  CHECK(both.at_client.received.total().framed == up->received());
  CHECK(both.at_server.sent.total().framed == down->sent());
  CHECK(both.at_server.received.total().framed == down->received());
  CHECK(both.at_server.received.total() == both.at_client.sent.total());
  CHECK(both.at_client.received.of(MessageKind::backward).payload == 3'000'077 + 3 * 12);
  CHECK(both.at_client.sent.of(MessageKind::bye).framed == 32);
  CHECK(both.at_client.steps.last() == 3);
}

TEST_CASE("next: works one byte at a time", "[wire]") {
  SessionState state;
  std::deque<std::byte> queue;
  test::TrickleLink link{queue};
  auto client = Session::client(state, {{"key", "value"}}, {}, real_now());
  flush(link, client);
  auto server = Session::server({}, real_now());
  CHECK(next(link, server).kind == MessageKind::hello);
  CHECK(server.hello().settings == Settings{{"key", "value"}});
}

TEST_CASE("next, flush: a peer that closes, or a link that lies", "[wire]") {
  SessionState state;
  auto server = Session::server({}, real_now());
  test::ScriptLink ended{{}};
  CHECK(reason_of<TransportError>([&] { next(ended, server); }) == Reason::closed);
  test::LyingLink lying{.claim = 1000};
  CHECK(reason_of<TransportError>([&] { next(lying, server); }) == Reason::link_failed);
  auto client = Session::client(state, {}, {}, real_now());
  CHECK(reason_of<TransportError>([&] { flush(lying, client); }) == Reason::link_failed);
  lying.claim = 0;
  CHECK(reason_of<TransportError>([&] { flush(lying, client); }) == Reason::link_failed);

  auto ends = transport::memory_pair();
  {
    const transport::MemoryLink closing{std::move(ends.second)};
  }
  CHECK(reason_of<TransportError>([&] { next(ends.first, server); }) == Reason::closed);
  CHECK(reason_of<TransportError>([&] { flush(ends.first, client); }) == Reason::closed);
}

TEST_CASE("next: another kind, or an error of the peer", "[wire]") {
  const auto ends_with = [](auto&& at_client) {
    auto ends = transport::memory_pair();
    BothEnds both;
    run_both(both, ends.first, ends.second, {}, at_client, [](auto& link, Session& session) {
      next(link, session, MessageKind::forward);
      throw WireError(Reason::not_finite, "the loss is NaN");
    });
    return both;
  };
  const BothEnds other = ends_with([](auto& link, Session& session) {
    session.send(MessageKind::fetch_weights);
    flush(link, session);
    next(link, session);
  });
  CHECK(other.server == Reason::wrong_message);
  CHECK(other.server_text == "fetch_weights came where forward was expected");
  CHECK(other.client == Reason::peer_failed);
  CHECK_THAT(other.client_text, ContainsSubstring(other.server_text));
  const BothEnds nan = ends_with([](auto& link, Session& session) {
    session.send_step({});
    flush(link, session);
    next(link, session);
  });
  CHECK(nan.server == Reason::not_finite);
  CHECK(nan.client == Reason::peer_failed);
  CHECK_THAT(nan.client_text, ContainsSubstring("the loss is NaN"));
}

TEST_CASE("next: silence ends at the deadline, on both sides", "[wire]") {
  auto ends = transport::memory_pair();
  SessionState state;
  const SessionOptions options{.handshake_timeout = 10ms};
  auto client = Session::client(state, {}, options, real_now());
  std::string text;
  CHECK(reason_of<TransportError>([&] { next(ends.first, client); }, &text) == Reason::timed_out);
  CHECK_THAT(text, ContainsSubstring("handshake: the peer was silent for 0."));
  CHECK(client.is_over());
  CHECK(reason_of<TransportError>([&] { next(ends.first, client); }) == Reason::closed);
  auto server = Session::server(options, real_now());
  CHECK(reason_of<TransportError>([&] { next(ends.first, server); }) == Reason::timed_out);
}

TEST_CASE("next: a peer that dribbles does not get more time for the handshake", "[wire]") {
  auto ends = transport::memory_pair();
  std::jthread dribbles{[link = std::move(ends.second)](const std::stop_token& stop) mutable {
    SessionState state;
    const auto client = Session::client(state, {}, {}, real_now());
    for (const std::byte b : client.output()) {
      std::this_thread::sleep_for(2ms);
      if (stop.stop_requested()) return;
      link.write_some(std::span{&b, 1});
    }
  }};
  auto server = Session::server({.handshake_timeout = 30ms}, real_now());
  CHECK(reason_of<TransportError>([&] { next(ends.first, server); }) == Reason::timed_out);
  dribbles.request_stop();
}

TEST_CASE("next, flush: every operation has a deadline of its own", "[wire]") {
  struct KeepsDeadlines : test::ScriptLink {
    using ScriptLink::ScriptLink;
    void set_deadline(transport::Deadline when) { deadlines.push_back(when); }
    std::vector<transport::Deadline> deadlines;
  };
  SessionState client_state, state;
  const SessionOptions options{
      .handshake_timeout = 10s, .heartbeat = 0s, .step_timeout = 600s, .write_timeout = 20s};
  const Time long_ago = real_now() - 5s;
  KeepsDeadlines link{[&] {
    auto client = Session::client(client_state, {}, options, long_ago);
    const Bytes hello = client.output();
    return std::vector(hello.begin(), hello.end());
  }()};
  auto server = Session::server(options, long_ago);
  next(link, server, MessageKind::hello);
  // What is left of the handshake, however the bytes come.
  REQUIRE_FALSE(link.deadlines.empty());
  for (const auto deadline : link.deadlines) CHECK(deadline == long_ago + 10s);
  server.admit(state);
  const auto expect = [&](std::chrono::nanoseconds wait, auto&& operation) {
    link.deadlines.clear();
    const Time before = real_now();
    operation();
    const Time after = real_now();
    REQUIRE(link.deadlines.size() == 1);
    CHECK(link.deadlines[0] >= before + wait);
    CHECK(link.deadlines[0] <= after + wait);
  };
  expect(20s, [&] { flush(link, server); });
  // Time that this side has spent on other things is not the peer's silence.
  std::this_thread::sleep_for(5ms);
  expect(600s, [&] { reason_of([&] { next(link, server); }); });
}

TEST_CASE("next: a peer that sends heartbeats while it computes is waited for", "[wire]") {
  auto ends = transport::memory_pair();
  BothEnds both;
  const SessionOptions options{.heartbeat = 20ms};
  run_both(
      both, ends.first, ends.second, options,
      [&](auto& link, Session& session) {
        session.send_step({});
        flush(link, session);
        next(link, session, MessageKind::backward);
        session.commit();
      },
      [&](auto& link, Session& session) {
        next(link, session, MessageKind::forward);
        for (const Time end = real_now() + 200ms; real_now() < end;) {  // computes
          std::this_thread::sleep_for(5ms);
          session.listen(real_now());  // the client's heartbeats wait in the link
          session.tick(real_now());
          flush(link, session);
        }
        session.new_reply();
        session.commit();
        flush(link, session);
      });
  CHECK(both.client == std::nullopt);
  CHECK(both.server == std::nullopt);
  CHECK(both.at_client.received.of(MessageKind::heartbeat).messages >= 3);
  CHECK(both.at_client.sent.of(MessageKind::heartbeat).messages >= 3);
}

TEST_CASE("next: a link that breaks or lies while training", "[wire]") {
  const auto outcome = [](const transport::Faults& faults) {
    auto ends = transport::memory_pair();
    transport::Simulated near{std::move(ends.first), {}, faults};
    BothEnds both;
    run_both(
        both, near, ends.second, {},
        [&](auto& link, Session& session) {
          for (int step = 0; step < 3; ++step) {
            session.send_step(std::array{Bytes{bytes_of("numbers of a step")}});
            flush(link, session);
            next(link, session, MessageKind::backward);
            session.commit();
          }
          session.send(MessageKind::bye);
          flush(link, session);
        },
        [](auto& link, Session& session) { echo_steps(link, session); });
    return both;
  };
  CHECK(outcome({.longest_piece = 7, .rng = {.seed = 2}}).client == std::nullopt);
  CHECK(outcome({.cut_sent_at = 200}).client == Reason::closed);
  CHECK(outcome({.cut_received_at = 150}).client == Reason::closed);
  const BothEnds up = outcome({.flip_sent_bit = 8 * 150});
  CHECK(up.server == Reason::bad_checksum);
  CHECK(up.client == Reason::peer_failed);  // the server has said why
  CHECK_THAT(up.client_text, ContainsSubstring(up.server_text));
  CHECK(outcome({.flip_received_bit = 1000}).client == Reason::bad_checksum);
}
