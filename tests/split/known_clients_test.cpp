// SPDX-License-Identifier: MIT
#include <chrono>
#include <memory>
#include <utility>

#include <splitvit/split/known_clients.hpp>

#include "split/loopback.hpp"
#include "support/catch.hpp"
#include "support/links.hpp"

using namespace splitvit;
using namespace std::chrono_literals;
using split::KnownClients;

namespace {

/// A hello that waits for its answer.
std::shared_ptr<wire::Connection> connection_of(const wire::SessionId& id) {
  wire::Outbox writer;
  const auto payload = wire::hello_payload({.session = id});
  writer.queue(wire::MessageKind::hello, std::array{wire::Bytes{payload}});
  auto connection = std::make_shared<wire::Connection>(
      transport::AnyLink{test::ScriptLink{test::drain(writer)}},
      wire::Session::server({.heartbeat = 0ms}, transport::Clock::now()));
  connection->next(wire::MessageKind::hello);
  return connection;
}

/// Lets a client with this session enter; returns what the server knows of it.
std::shared_ptr<split::KnownClient<float>> enter(KnownClients<float>& clients,
                                                 const wire::SessionId& id) {
  auto learner = std::make_shared<split::Learner<float>>(test::server_part(), optim::Adam{});
  auto client = std::make_shared<split::KnownClient<float>>(
      split::ServerRole<float>{std::move(learner), split::CutReceiver<float>{{}}});
  const auto connection = connection_of(id);
  const auto session = connection->session();
  clients.enter(client, session, [&] { session->admit(client->state); });
  return client;
}

constexpr wire::SessionId first{1, 1}, second{2, 1}, third{3, 1};

}  // namespace

TEST_CASE("KnownClients: found by their sessions, until they leave for good", "[split]") {
  KnownClients<float> clients{8, 1h};
  const auto a = enter(clients, first), b = enter(clients, second);
  CHECK(clients.find(first) == a);
  CHECK(clients.find(third) == nullptr);
  CHECK(clients.all() == std::vector{a, b});
  CHECK(clients.session_of(0)->id == first);  // a client alone has no number
  CHECK(!clients.session_of(1));
  CHECK(clients.step_of(first) == 0);
  a->state.steps.new_reply();
  a->state.steps.commit();
  CHECK(clients.step_of(first) == 1);
  CHECK(clients.step_of(third) == 0);
  const split::Traffic handshakes = clients.traffic(split::Column::training);
  a->state.received.add(wire::MessageKind::forward, {.messages = 1, .payload = 5, .framed = 37});
  b->state.sent.add(wire::MessageKind::backward, {.messages = 1, .payload = 3, .framed = 35});
  const split::Traffic since = clients.traffic(split::Column::training) - handshakes;
  CHECK(since ==
        split::Traffic{.up = {.payload = 5, .framing = 32}, .down = {.payload = 3, .framing = 32}});
  CHECK(clients.traffic(split::Column::weights).total() == 0);
  clients.leave(*a, true);
  CHECK(clients.find(first) == a);
  CHECK(!a->is_connected);
  clients.leave(*a, false);
  CHECK(clients.find(first) == nullptr);
  const auto again = enter(clients, second);  // over another connection
  clients.leave(*b, false);                   // which does not concern its successor
  CHECK(clients.find(second) == again);
  clients.forget(second);
  CHECK(clients.all().empty());
}

TEST_CASE("KnownClients: makes room by forgetting those that are not connected", "[split]") {
  KnownClients<float> clients{2, 1h};
  const auto a = enter(clients, first), b = enter(clients, second);
  CHECK_THROWS_WITH(enter(clients, third), "busy: serving 2 of 2");
  clients.leave(*b, true);
  clients.leave(*a, true);
  enter(clients, third);
  CHECK(clients.find(first) == nullptr);  // it entered before the other one
  CHECK(clients.find(second) == b);

  KnownClients<float> forgetful{2, 0ms};
  const auto c = enter(forgetful, first);
  forgetful.leave(*c, true);
  enter(forgetful, second);
  CHECK(forgetful.find(first) == nullptr);
}
