// SPDX-License-Identifier: MIT
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <splitvit/compress/then.hpp>
#include <splitvit/core/bytes.hpp>
#include <splitvit/split/answering.hpp>
#include <splitvit/split/exchange.hpp>
#include <splitvit/transport/metered.hpp>
#include <splitvit/transport/simulated.hpp>

#include "split/group.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace std::chrono_literals;

namespace {

using GroupThread = test::Serving<split::Server<float>>;

/// A client of a group, connected over memory.
std::unique_ptr<split::Client<float>> connect(const test::ClientGroup<float>& group,
                                              split::Server<float>& server, std::uint32_t number,
                                              std::optional<GroupThread>& serving) {
  auto client = std::make_unique<split::Client<float>>(group.role(), group.client_options(number));
  client->reconnect(test::dial(server, serving));
  return client;
}

void take_step(const test::ClientGroup<float>& group, split::Client<float>& client,
               std::uint32_t number) {
  auto batch = group.batches(number)();
  client.train_step(std::move(batch.images), batch.labels);
}

}  // namespace

TEST_CASE("answering: a step out of turn waits for the other client's", "[split]") {
  const test::ClientGroup<float> group{.steps = {1, 1}};
  split::Server<float> server = group.server();
  std::optional<GroupThread> first_thread, second_thread;
  const auto first = connect(group, server, 1, first_thread);
  const auto second = connect(group, server, 2, second_thread);
  first->request_turn(1);
  second->request_turn(1);
  CHECK(first->await_turn().steps == 1);
  CHECK(second->await_turn().steps == 1);
  {
    const std::jthread waiting{[&] { take_step(group, *second, 2); }};
    std::this_thread::sleep_for(150ms);
    CHECK(second->steps() == 0);
    take_step(group, *first, 1);
  }
  CHECK(second->steps() == 1);
  first->request_turn(0);
  second->request_turn(0);
  CHECK(first->await_turn().what == split::Turn::What::over);
  CHECK(second->await_turn().what == split::Turn::What::over);
  first->close();
  second->close();
  first_thread->finish();
  second_thread->finish();
}

TEST_CASE("answering: a client whose link breaks while it waits asks again, and all go on",
          "[split]") {
  const test::ClientGroup<float> group{.steps = {1, 1}};
  split::Server<float> server = group.server();
  std::optional<GroupThread> first_thread, second_thread, again;
  const auto first = connect(group, server, 1, first_thread);
  first->request_turn(1);
  first->disconnect();
  CHECK_THROWS_AS(first_thread->finish(), ReasonedError);
  first->reconnect(test::dial(server, again));
  first->request_turn(1);
  const auto second = connect(group, server, 2, second_thread);
  second->request_turn(1);
  CHECK(first->await_turn().number == 1);
  CHECK(second->await_turn().number == 1);
  take_step(group, *first, 1);
  take_step(group, *second, 2);
  first->request_turn(0);
  second->request_turn(0);
  first->await_turn();
  second->await_turn();
  CHECK(test::numbers_of<float>(first->part()) == test::numbers_of<float>(second->part()));
  first->close();
  second->close();
  again->finish();
  second_thread->finish();
}

TEST_CASE("answering: a step without a turn, and a turn without a group, are refused", "[split]") {
  const test::ClientGroup<float> group{.steps = {1, 1}};
  split::Server<float> server = group.server();
  std::optional<GroupThread> serving;
  const auto client = connect(group, server, 1, serving);
  CHECK_THROWS_WITH(take_step(group, *client, 1), ContainsSubstring("no step left in round 0"));
  CHECK_THROWS_AS(serving->finish(), WireError);

  split::Server<float> alone{test::server_part(), optim::Adam{}};
  CHECK(alone.awaited().empty());
  alone.end_checkpoints();  // there are none
  std::optional<GroupThread> of_alone;
  split::Client<float> other{test::client_part(), optim::Adam{}, compress::Identity{},
                             test::dial(alone, of_alone)};
  other.request_turn(1);
  CHECK_THROWS_WITH(other.await_turn(), ContainsSubstring("clients do not share a model"));
  CHECK_THROWS_AS(of_alone->finish(), WireError);
}

TEST_CASE("answering: a number that is not registered, or is taken, gets no place", "[split]") {
  const test::ClientGroup<float> group{.steps = {1, 1}};
  split::Server<float> server = group.server();
  CHECK_THROWS_AS(server.keep_checkpoints({}), std::logic_error);
  std::optional<GroupThread> serving, refused;
  const auto client = connect(group, server, 1, serving);
  for (const std::uint32_t number : {0u, 3u, 1u}) {
    CHECK_THROWS_WITH(connect(group, server, number, refused),
                      ContainsSubstring("client: the client has number " + std::to_string(number)));
    CHECK_THROWS_AS(refused->finish(), WireError);
  }
  client->close();
  serving->finish();
}

namespace {

/// A client that sends the parts of its first step one by one.
struct PartByPart {
  split::ClientRole<float> role{split::Learner<float>{test::client_part(), optim::Adam{.lr = 1e-2}},
                                split::CutSender<float>{compress::Identity{}, {}, 3}};
  test::RandomBatches<float>::Batch batch = test::RandomBatches<float>{.rng = {.seed = 77}}.make();
  split::StepReport report = {};
  test::RawClient link;

  explicit PartByPart(transport::AnyLink end)
      : link{std::move(end), test::small_settings("none")} {}

  void send(std::uint32_t part) { send(part, Index{part}, 2); }
  /// Part i of n, under another number.
  void send(std::uint32_t part, Index i, Index n) {
    const auto [images, labels] = split::batch_part<float>(batch.images, batch.labels, i, n);
    std::vector<std::byte> bytes;
    ByteWriter{bytes}.put(std::uint64_t{1}, part);
    for (const auto piece :
         role.forward({.step = 1, .micro = part}, images, labels, report, batch.images.dim(0)))
      bytes.insert(bytes.end(), piece.begin(), piece.end());
    link.send(wire::MessageKind::forward, bytes);
  }
  void take_answer() { link.receive(wire::MessageKind::backward); }
};

}  // namespace

TEST_CASE("answering: between the parts of a step other clients of the part wait", "[split]") {
  const auto batch = test::RandomBatches<float>{}.make();
  const optim::Adam rule{.lr = 1e-2};
  // what the second client's step leads to by itself, and after the first client's
  const auto trained = [&](bool first_too) {
    split::Server<float> server{test::server_part(), rule};
    std::optional<GroupThread> first_thread, second_thread;
    if (first_too) {
      PartByPart first{test::dial(server, first_thread)};
      for (const std::uint32_t part : {0u, 1u}) first.send(part), first.take_answer();
      first.link.send(wire::MessageKind::bye);
      first_thread->finish();
    }
    split::Client<float> second{test::client_part(), rule, compress::Identity{},
                                test::dial(server, second_thread)};
    second.train_step(batch.images, batch.labels);
    second.close();
    second_thread->finish();
    return test::numbers_of<float>(server.part());
  };
  const std::string end = GENERATE("it goes on", "it is lost", "it takes too long", "it errs");
  CAPTURE(end);
  split::Server<float> server{
      test::server_part(), rule,
      split::ServerOptions{.part_timeout = end == "it takes too long" ? 400ms : 600s}};
  std::optional<GroupThread> first_thread, second_thread;
  split::Client<float> second{test::client_part(), rule, compress::Identity{},
                              test::dial(server, second_thread)};
  std::optional<PartByPart> first{std::in_place, test::dial(server, first_thread)};
  first->send(0);
  first->take_answer();
  {
    std::atomic<bool> has_trained = false;
    const std::jthread waiting{[&] {
      second.train_step(batch.images, batch.labels);
      has_trained = true;
    }};
    std::this_thread::sleep_for(150ms);
    CHECK(!has_trained);
    if (end == "it goes on") {
      first->send(1);
      first->take_answer();
    } else if (end == "it is lost") {
      first.reset();
    } else if (end == "it errs") {
      first->send(1, 0, 1);  // more images than the step has
    }
  }
  CHECK(second.steps() == 1);
  if (end == "it goes on") {
    first->link.send(wire::MessageKind::bye);
    first_thread->finish();
  } else if (end == "it takes too long") {
    CHECK_THROWS_WITH(first->take_answer(), ContainsSubstring("others waited for it"));
    CHECK_THROWS_AS(first_thread->finish(), TransportError);
  } else {
    CHECK_THROWS_AS(first_thread->finish(), ReasonedError);
  }
  second.close();
  second_thread->finish();
  CHECK(test::numbers_of<float>(server.part()) == trained(end == "it goes on"));
}

TEST_CASE("answering: between the parts of its step a client sends nothing else", "[split]") {
  using enum wire::MessageKind;
  for (const wire::MessageKind kind : {evaluate, fetch_weights, weights, checkpoint, turn, bye}) {
    split::Server<float> server{test::server_part(), optim::Adam{}};
    std::optional<GroupThread> serving;
    PartByPart client{test::dial(server, serving)};
    client.send(0);
    client.take_answer();
    client.link.send(kind, std::vector<std::byte>(40));
    CHECK_THROWS_WITH(serving->finish(), ContainsSubstring("between the parts of a step"));
    CHECK(server.steps() == 0);
  }
}

TEST_CASE("answering: in arrival order a client that is lost between its parts comes back",
          "[split]") {
  // How many bytes the client sends before its step, and until its end.
  const auto rehearsed = [] {
    const test::ClientGroup<float> group{.steps = {1}};
    split::Server<float> server = group.server();
    std::optional<GroupThread> serving;
    split::ClientOptions options = group.client_options(1);
    options.micro_batches = 3;
    split::Client<float> alone{group.role(), options};
    transport::Metered link{test::dial(server, serving)};
    const auto traffic = link.traffic();
    alone.reconnect(std::move(link));
    alone.request_turn(1);
    alone.await_turn();
    const std::uint64_t before = traffic->sent();
    take_step(group, alone, 1);
    const std::uint64_t after = traffic->sent();
    alone.disconnect();
    CHECK_THROWS_AS(serving->finish(), ReasonedError);
    return std::pair{before, after};
  }();
  test::ClientGroup<float> group{.steps = {1, 1}};
  group.options.order = split::Order::arrival;
  split::Server<float> server = group.server();
  std::optional<GroupThread> first_thread, second_thread, again;
  split::ClientOptions options = group.client_options(1);
  options.micro_batches = 3;
  split::Client<float> first{group.role(), options};
  first.reconnect(transport::Simulated{test::dial(server, first_thread),
                                       {},
                                       {.cut_sent_at = (rehearsed.first + rehearsed.second) / 2}});
  const auto second = connect(group, server, 2, second_thread);
  first.request_turn(1);
  second->request_turn(1);
  CHECK(first.await_turn().steps == 1);
  CHECK(second->await_turn().steps == 1);
  auto batch = group.batches(1)();
  CHECK_THROWS_AS(first.train_step(batch.images, batch.labels), ReasonedError);
  take_step(group, *second, 2);
  CHECK(second->steps() == 1);
  CHECK(server.steps() == 1);
  CHECK_THROWS_AS(first_thread->finish(), ReasonedError);
  first.reconnect(test::dial(server, again));
  first.train_step(std::move(batch.images), batch.labels);
  CHECK(server.steps() == 2);
  first.request_turn(0);
  second->request_turn(0);
  first.await_turn();
  second->await_turn();
  CHECK(test::numbers_of<float>(first.part()) == test::numbers_of<float>(second->part()));
  first.close();
  second->close();
  again->finish();
  second_thread->finish();
}
