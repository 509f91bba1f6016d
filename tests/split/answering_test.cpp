// SPDX-License-Identifier: MIT
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <splitvit/compress/then.hpp>
#include <splitvit/split/answering.hpp>

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
