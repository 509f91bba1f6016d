// SPDX-License-Identifier: MIT
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <splitvit/compress/then.hpp>
#include <splitvit/split/client.hpp>
#include <splitvit/split/service.hpp>
#include <splitvit/transport/tcp.hpp>

#include "split/loopback.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace std::chrono_literals;
using split::SessionEvent;
using test::RandomBatches;

namespace {

using Kind = SessionEvent::Kind;

/// A server on a port of its own, with a part for each client, until the test ends.
struct RunningService {
  explicit RunningService(split::ServiceOptions options = {},
                          const wire::SessionOptions& session = {})
      : server{[](const wire::Hello&) {
                 return split::ServerRole<float>{
                     std::make_shared<split::Learner<float>>(test::server_part(), optim::Adam{}),
                     split::CutReceiver<float>{codec::Float32{}}};
               },
               {.session = session}},
        service{server,
                [&] {
                  options.on_event = [this](const std::string&, const SessionEvent& event) {
                    const std::lock_guard lock{guard};
                    events.push_back(event);
                  };
                  return options;
                }()},
        thread{[this] { service.run(listener, [this] { return !is_over; }); }} {}
  ~RunningService() { is_over = true; }

  transport::TcpLink dial() const { return transport::connect_tcp(listener.endpoint()); }
  split::Client<float> client(const wire::SessionOptions& session = {}) const {
    return {test::client_part(), optim::Adam{}, compress::Identity{}, dial(), {.session = session}};
  }
  /// Waits for the n-th event of a kind.
  std::optional<SessionEvent> wait_for(Kind kind, int n = 1) {
    for (int tries = 0; tries < 300; ++tries) {
      {
        const std::lock_guard lock{guard};
        int seen = 0;
        for (const SessionEvent& event : events)
          if (event.kind == kind && ++seen == n) return event;
      }
      std::this_thread::sleep_for(10ms);
    }
    return std::nullopt;
  }
  int count(Kind kind) {
    const std::lock_guard lock{guard};
    int seen = 0;
    for (const SessionEvent& event : events) seen += event.kind == kind ? 1 : 0;
    return seen;
  }

  std::mutex guard;  // of events
  std::vector<SessionEvent> events;
  std::atomic<bool> is_over = false;
  transport::TcpListener listener;
  split::Server<float> server;
  split::Service<float> service;
  std::jthread thread;
};

void train(split::Client<float>& client, Index steps = 1) {
  client.train_epoch(RandomBatches<float>{.left = steps, .samples = 2});
}

/// Trains over a connection of its own.
void train_once_more(const RunningService& serving) {
  auto client = serving.client();
  train(client, 2);
  client.close();
}

template <class Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("Service: another client hears at once that the server is busy, and is served later",
          "[split][timing]") {
  RunningService serving;
  auto client = serving.client();
  train(client);
  const auto start = transport::Clock::now();
  CHECK(error_of([&] { serving.client(); }) == "busy: serving 1 of 1");
  CHECK(transport::Clock::now() - start < 2s);
  CHECK(serving.wait_for(Kind::refused)->reason == "busy: serving 1 of 1");
  train(client);  // is not disturbed
  REQUIRE(serving.service.served().size() == 1);
  CHECK(serving.service.served()[0].step == 2);
  CHECK(serving.service.served()[0].peer.starts_with("127.0.0.1:"));
  client.close();
  CHECK(serving.wait_for(Kind::ended)->step == 2);
  train_once_more(serving);
  CHECK(serving.wait_for(Kind::ended, 2));
  CHECK(serving.service.served().empty());
}

TEST_CASE("Service: as many at once as it is told", "[split]") {
  RunningService serving{{.at_once = 2}};
  auto first = serving.client();
  auto second = serving.client();
  CHECK(error_of([&] { serving.client(); }) == "busy: serving 2 of 2");
  train(first);
  train(second);
  first.close();
  second.close();
  CHECK(serving.wait_for(Kind::ended, 2));
}

TEST_CASE("Service: probes, silence, garbage and dribbling keep nobody out", "[split][timing]") {
  RunningService serving{{.most_unadmitted = 8}, {.handshake_timeout = 300ms}};
  for (int i = 0; i < 3; ++i) serving.dial();  // closes at once
  const auto silent = std::pair{serving.dial(), serving.dial()};
  auto garbage = serving.dial(), dribbles = serving.dial();
  transport::write_all(garbage, test::random_bytes(2000));
  transport::write_all(dribbles, test::random_bytes(1));
  train_once_more(serving);
  std::vector<transport::TcpLink> crowd;
  for (int i = 0; i < 30; ++i) crowd.push_back(serving.dial());
  train_once_more(serving);
  CHECK(serving.wait_for(Kind::ended, 2));
  CHECK(serving.count(Kind::lost) == 0);
  // After the time of a handshake all of them are closed.
  std::byte room{};
  for (transport::TcpLink& link : crowd) {
    link.set_deadline(transport::deadline_in(5s));
    CHECK(link.read_some(std::span{&room, 1}) <= 1);  // the end, or why
  }
  train_once_more(serving);
}

TEST_CASE("Service: a client of other settings is refused, and the next is served", "[split]") {
  RunningService serving;
  CHECK_THAT(error_of([&] {
               split::Client{nn::make_part<float>(test::small_vit, 0, 2, test::start),
                             optim::Adam{}, compress::Identity{}, serving.dial()};
             }),
             ContainsSubstring("cut: the client has 2, the server has 1"));
  train_once_more(serving);
  CHECK_THAT(serving.wait_for(Kind::refused)->reason, ContainsSubstring("cut"));
}

namespace {

/// A link that stays open for as long as somebody holds it, and of which nothing more comes once it
/// is frozen.
struct FreezingLink {
  std::shared_ptr<transport::TcpLink> link;
  std::shared_ptr<std::atomic<bool>> is_frozen;

  std::size_t read_some(std::span<std::byte> into) { return link->read_some(into); }
  std::size_t write_some(std::span<const std::byte> from) {
    return *is_frozen ? from.size() : link->write_some(from);
  }
  void set_deadline(transport::Deadline when) { link->set_deadline(when); }
};

}  // namespace

TEST_CASE("Service: a client that vanishes is noticed, another is served, and it can come back",
          "[split][timing]") {
  const wire::SessionOptions beats{.heartbeat = 20ms};  // dead after 1.04 s
  RunningService serving{{}, beats};
  const FreezingLink link{std::make_shared<transport::TcpLink>(serving.dial()),
                          std::make_shared<std::atomic<bool>>(false)};
  split::Client client{
      test::client_part(), optim::Adam{}, compress::Identity{}, link, {.session = beats}};
  train(client, 3);
  *link.is_frozen = true;
  CHECK_THAT(error_of([&] { serving.client(); }), ContainsSubstring("busy"));
  const auto lost = serving.wait_for(Kind::lost);
  REQUIRE(lost);
  CHECK(lost->step == 3);
  CHECK_THAT(lost->reason, ContainsSubstring("the peer was silent for 1.0 s"));
  train_once_more(serving);
  CHECK(serving.wait_for(Kind::ended));
  client.reconnect(serving.dial());
  train(client);
  client.close();
  CHECK(serving.wait_for(Kind::resumed)->step == 3);
  CHECK(serving.wait_for(Kind::ended, 2)->step == 4);
}

TEST_CASE("Service: a client that comes back takes the place of its older connection at once",
          "[split][timing]") {
  RunningService serving;  // would notice after 11 s
  const FreezingLink link{std::make_shared<transport::TcpLink>(serving.dial()),
                          std::make_shared<std::atomic<bool>>(false)};
  split::Client client{test::client_part(), optim::Adam{}, compress::Identity{}, link};
  train(client, 2);
  *link.is_frozen = true;
  const auto start = transport::Clock::now();
  client.reconnect(serving.dial());
  train(client);
  CHECK(transport::Clock::now() - start < 2s);
  CHECK_THAT(serving.wait_for(Kind::lost)->reason, ContainsSubstring("newer connection"));
  CHECK_THAT(error_of([&] { serving.client(); }), ContainsSubstring("busy"));
  client.close();
  CHECK(serving.wait_for(Kind::ended)->step == 3);
}

namespace {

/// A listener that at first has no descriptors.
struct PoorListener {
  transport::TcpListener& listener;
  std::atomic<int> failures = 0;

  std::vector<bool> wait(std::span<transport::TcpLink* const> links, transport::Deadline when) {
    return listener.wait(links, when);
  }
  transport::TcpLink accept(transport::Deadline when) {
    if (failures < 3 && ++failures > 0)
      throw TransportError(Reason::link_failed, "listening: Too many open files");
    return listener.accept(when);
  }
};

}  // namespace

TEST_CASE("Service: no more descriptors do not end it", "[split][timing]") {
  split::Server<float> server{test::server_part(), optim::Adam{}};
  std::vector<std::string> reasons;
  std::atomic<int> ended = 0;
  split::Service<float> service{server,
                                {.on_event = [&](const std::string&, const SessionEvent& event) {
                                  if (event.kind == Kind::refused) reasons.push_back(event.reason);
                                  ended += event.kind == Kind::ended ? 1 : 0;
                                }}};
  transport::TcpListener listener;
  PoorListener poor{listener};
  {
    const std::jthread thread{[&] { service.run(poor, [&] { return ended == 0; }); }};
    split::Client client{test::client_part(), optim::Adam{}, compress::Identity{},
                         transport::connect_tcp(listener.endpoint())};
    train(client);
    client.close();
  }
  CHECK(poor.failures == 3);
  CHECK(reasons == std::vector<std::string>{"listening: Too many open files"});
  CHECK(server.steps() == 1);
}

TEST_CASE("Service: its end ends the connections that are open", "[split][timing]") {
  std::optional<RunningService> serving{std::in_place};
  auto client = serving->client();
  train(client);
  const auto start = transport::Clock::now();
  serving.reset();
  CHECK(transport::Clock::now() - start < 2s);
  CHECK_THAT(error_of([&] { train(client); }), ContainsSubstring("the server ends"));
}

TEST_CASE("Service: ends when its listener is closed", "[split]") {
  split::Server<float> server{test::server_part(), optim::Adam{}};
  split::Service<float> service{server};  // nobody is told of anything
  transport::TcpListener listener;
  {
    std::atomic<bool> has_trained = false;
    const std::jthread thread{[&] { service.run(listener, [&] { return !has_trained; }); }};
    split::Client client{test::client_part(), optim::Adam{}, compress::Identity{},
                         transport::connect_tcp(listener.endpoint())};
    train(client, 2);
    has_trained = true;
  }
  CHECK(server.steps() == 2);
  listener.close();
  service.run(listener, [] { return true; });
  CHECK(service.served().empty());
}
