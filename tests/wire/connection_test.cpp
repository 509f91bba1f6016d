// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <splitvit/transport/memory.hpp>
#include <splitvit/wire/connection.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/links.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using namespace std::chrono_literals;
using test::random_bytes;
using test::reason_of;

namespace {

/// A client and a server on one link, both open.
struct Ends {
  explicit Ends(const SessionOptions& at_client = {}, const SessionOptions& at_server = {},
                bool client_has_deadlines = true) {
    auto [client_end, server_end] = transport::memory_pair();
    server.emplace(std::move(server_end), Session::server(at_server, transport::Clock::now()));
    transport::AnyLink end = std::move(client_end);
    if (!client_has_deadlines) end = test::WithoutDeadlines{std::move(end)};
    client.emplace(std::move(end),
                   Session::client(client_state, {}, at_client, transport::Clock::now()));
    std::jthread serving{[&] {
      server->next(MessageKind::hello);
      server->session()->admit(server_state);
      server->flush();
    }};
    client->next(MessageKind::welcome);
  }

  void ask(Bytes contents = {}) {
    client->session()->send_step(std::array{contents});
    client->flush();
  }
  void answer(Bytes contents = {}) {
    server->session()->new_reply().assign(contents.begin(), contents.end());
    server->session()->commit();
    server->flush();
  }

  SessionState client_state, server_state;
  std::optional<Connection> client, server;
};

/// A link that stays open for as long as somebody holds it.
struct SharedLink {
  std::shared_ptr<transport::MemoryLink> link;
  std::size_t read_some(std::span<std::byte> into) { return link->read_some(into); }
  std::size_t write_some(std::span<const std::byte> from) { return link->write_some(from); }
  void set_deadline(transport::Deadline when) { link->set_deadline(when); }
};

/// A link of two functions.
struct PlainLink {
  transport::MemoryLink link;
  std::size_t read_some(std::span<std::byte> into) { return link.read_some(into); }
  std::size_t write_some(std::span<const std::byte> from) { return link.write_some(from); }
};

}  // namespace

TEST_CASE("Connection: a step that takes longer than a silence may is not taken for death",
          "[wire][timing]") {
  const SessionOptions beats{.heartbeat = 20ms};  // dead after 1.04 s
  Ends ends{beats, beats};
  std::jthread serving{[&] {
    ends.server->next(MessageKind::forward);
    std::this_thread::sleep_for(1300ms);  // computes
    ends.answer();
    ends.server->next(MessageKind::bye);
  }};
  ends.ask();
  ends.client->next(MessageKind::backward);
  ends.client->session()->commit();
  std::this_thread::sleep_for(1300ms);  // computes
  ends.client->session()->send(MessageKind::bye);
  ends.client->flush();
  serving.join();
  CHECK(ends.client_state.sent.of(MessageKind::heartbeat).messages >= 10);
  CHECK(ends.server_state.sent.of(MessageKind::heartbeat).messages >= 10);
  CHECK(ends.server_state.received.of(MessageKind::heartbeat).messages >= 10);
}

TEST_CASE(
    "Connection: a peer that is gone is noticed, though the link is open and this side computes",
    "[wire][timing]") {
  auto [client_end, server_end] = transport::memory_pair();
  const SharedLink kept{std::make_shared<transport::MemoryLink>(std::move(client_end))};
  SessionState client_state, server_state;
  const SessionOptions beats{.heartbeat = 50ms};
  Connection server{std::move(server_end), Session::server(beats, transport::Clock::now())};
  auto session = Session::client(client_state, {}, beats, transport::Clock::now());
  transport::write_all(*kept.link, session.output());
  server.next(MessageKind::hello);
  server.session()->admit(server_state);
  const Time start = transport::Clock::now();
  std::string text;
  SECTION("while it waits") {
    CHECK(reason_of([&] { server.next(); }, &text) == Reason::timed_out);
  }
  SECTION("while it computes") {
    server.flush();
    session.written(session.output().size(), transport::Clock::now());
    next(*kept.link, session, MessageKind::welcome);
    session.send_step({});
    transport::write_all(*kept.link, session.output());
    server.next(MessageKind::forward);
    while (transport::Clock::now() < start + 3s && !reason_of([&] { server.session(); }, &text))
      std::this_thread::sleep_for(10ms);
    CHECK(reason_of([&] { server.session(); }) == Reason::timed_out);
    CHECK(reason_of([&] { server.next(); }) == Reason::timed_out);
  }
  CHECK(transport::Clock::now() - start >= 1100ms);
  CHECK(transport::Clock::now() - start < 2500ms);
  CHECK_THAT(text, ContainsSubstring("the peer was silent for 1.1 s"));
}

TEST_CASE("Connection: a message that comes early waits until the last one is used", "[wire]") {
  Ends ends;
  const auto first = random_bytes(5000), second = random_bytes(7000);
  ends.ask(first);
  ends.ask(second);
  const Event event = ends.server->next(MessageKind::forward);
  std::this_thread::sleep_for(100ms);
  CHECK(std::ranges::equal(event.payload, first));
  ends.server->session()->new_reply();
  ends.server->session()->reply();
  const Event other = ends.server->next(MessageKind::forward);
  CHECK(other.at == StepNumber{1, 1});
  CHECK(std::ranges::equal(other.payload, second));
}

TEST_CASE("Connection: messages larger than the link holds, with heartbeats between them",
          "[wire]") {
  const SessionOptions beats{.heartbeat = 1ms};
  const auto up = random_bytes(700'000), down = random_bytes(500'000);
  Ends ends{beats, beats};
  std::jthread serving{[&] {
    for (int step = 0; step < 10; ++step) {
      CHECK(std::ranges::equal(ends.server->next(MessageKind::forward).payload, up));
      ends.answer(down);
    }
    ends.server->next(MessageKind::bye);
  }};
  for (int step = 0; step < 10; ++step) {
    ends.ask(up);
    CHECK(std::ranges::equal(ends.client->next(MessageKind::backward).payload, down));
    ends.client->session()->commit();
  }
  ends.client->session()->send(MessageKind::bye);
  ends.client->flush();
  serving.join();
  CHECK(ends.client_state.sent.of(MessageKind::forward).messages == 10);
}

TEST_CASE(
    "Connection: a write that waits for the peer does not hold the lock, and has its own limit",
    "[wire][timing]") {
  const auto answer = random_bytes(1'000'000);  // more than the link holds
  Ends ends{{.heartbeat = 0s}, {.write_timeout = 400ms}, false};
  CHECK_FALSE(ends.client->reads_ahead());  // so it does not read meanwhile
  ends.ask();
  ends.server->next(MessageKind::forward);
  std::optional<Reason> reason;
  const Time start = transport::Clock::now();
  {
    const std::jthread serving{[&] { reason = reason_of([&] { ends.answer(answer); }); }};
    std::this_thread::sleep_for(100ms);
    const std::lock_guard lock{*ends.server->guard()};
    CHECK(transport::Clock::now() - start < 350ms);
  }
  CHECK(reason == Reason::timed_out);
  CHECK(transport::Clock::now() - start >= 400ms);
}

TEST_CASE("Connection: both ends may write more than the link holds before they read", "[wire]") {
  for (const auto heartbeat : {5s, 0s}) {
    Ends ends{{.heartbeat = heartbeat}};
    CHECK(ends.client->reads_ahead());
    std::vector<std::vector<std::byte>> parts, answers;
    for (std::size_t part = 0; part < 4; ++part) {
      parts.push_back(random_bytes(900'000 + part));
      answers.push_back(random_bytes(1'200'000 + part));
    }
    std::jthread serving{[&] {
      for (std::size_t part = 0; part < parts.size(); ++part) {
        const Event came = ends.server->next(MessageKind::forward);
        ends.server->session()->new_reply() = answers[part];
        std::this_thread::sleep_for(20ms);  // the next part comes
        CHECK(came.at.micro == part);
        CHECK(std::ranges::equal(came.payload, parts[part]));
        if (part + 1 < parts.size())
          ends.server->session()->reply();
        else
          ends.server->session()->commit();
        ends.server->flush();
      }
      ends.server->next(MessageKind::bye);
    }};
    const auto take = [&](std::size_t part) {
      const Event came = ends.client->next(MessageKind::backward);
      std::this_thread::sleep_for(10ms);
      CHECK(came.at.micro == part);
      CHECK(std::ranges::equal(came.payload, answers[part]));
    };
    ends.ask(parts[0]);
    for (std::size_t part = 1; part < parts.size(); ++part) {
      ends.ask(parts[part]);
      take(part - 1);
    }
    take(parts.size() - 1);
    ends.client->session()->commit();
    ends.client->session()->send(MessageKind::bye);
    ends.client->flush();
  }
}

TEST_CASE("Connection: another thread ends the wait", "[wire]") {
  Ends ends;
  std::jthread other{[&] {
    std::this_thread::sleep_for(20ms);
    ends.server->end(WireError{Reason::superseded, "another has come"});
  }};
  std::string text;
  CHECK(reason_of([&] { ends.server->next(); }, &text) == Reason::superseded);
  CHECK(text == "another has come");
  CHECK(reason_of([&] { ends.server->session(); }) == Reason::superseded);
  CHECK(reason_of([&] { ends.server->next(); }) == Reason::superseded);
  ends.server->tell(WireError{Reason::superseded, text});
  CHECK(reason_of([&] { ends.client->next(); }, &text) == Reason::peer_failed);
  CHECK_THAT(text, ContainsSubstring("another has come"));
}

TEST_CASE("Connection: its end closes the link at once, and wakes the peer", "[wire][timing]") {
  Ends ends;
  ends.ask();
  ends.server->next(MessageKind::forward);
  const Time start = transport::Clock::now();
  ends.client.reset();
  CHECK(reason_of([&] { ends.server->next(); }) == Reason::closed);
  CHECK(transport::Clock::now() - start < 1s);
}

TEST_CASE("Connection: after a goodbye there is no other message", "[wire]") {
  Ends ends;
  ends.client->session()->send(MessageKind::bye);
  CHECK(reason_of([&] { ends.client->next(); }) == Reason::closed);
  CHECK(ends.server->next().kind == MessageKind::bye);
  CHECK(reason_of([&] { ends.server->next(); }) == Reason::closed);
}

TEST_CASE("Connection: bytes that make no sense end it, with their reason", "[wire]") {
  auto [client_end, server_end] = transport::memory_pair();
  SessionState client_state, server_state;
  Connection server{std::move(server_end), Session::server({}, transport::Clock::now())};
  auto session = Session::client(client_state, {}, {}, transport::Clock::now());
  transport::write_all(client_end, session.output());
  server.next(MessageKind::hello);
  server.session()->admit(server_state);
  transport::write_all(client_end, std::vector<std::byte>(100));
  CHECK(reason_of([&] { server.next(); }) == Reason::bad_magic);
  CHECK(reason_of([&] { server.session(); }) == Reason::bad_magic);
  CHECK(reason_of([&] { server.next(MessageKind::forward); }) == Reason::bad_magic);
}

TEST_CASE("Connection: a link of two functions has no heartbeats, and works", "[wire]") {
  auto [client_end, server_end] = transport::memory_pair();
  transport::AnyLink plain{PlainLink{std::move(client_end)}};
  const SessionOptions options = options_on(plain, {});
  CHECK(options.heartbeat == 0s);
  transport::AnyLink other{std::move(server_end)};
  CHECK(options_on(other, {}).heartbeat == 5s);
  SessionState client_state, server_state;
  Connection client{std::move(plain),
                    Session::client(client_state, {}, options, transport::Clock::now())};
  Connection server{std::move(other), Session::server({}, transport::Clock::now())};
  std::jthread serving{[&] {
    server.next(MessageKind::hello);
    server.session()->admit(server_state);
    server.next(MessageKind::forward);
    server.session()->new_reply();
    server.session()->commit();
    server.next(MessageKind::bye);
  }};
  client.next(MessageKind::welcome);
  CHECK(client.session()->agreed().heartbeat_ms == 0);
  client.session()->send_step({});
  client.next(MessageKind::backward);
  client.session()->commit();
  client.session()->send(MessageKind::bye);
  client.flush();
  serving.join();
  CHECK(server_state.received.total() == client_state.sent.total());
}
