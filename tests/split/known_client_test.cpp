// SPDX-License-Identifier: MIT
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <splitvit/split/checkpoints.hpp>
#include <splitvit/split/known_client.hpp>

#include "split/resuming.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using split::CheckpointMessage;
using Client = split::KnownClient<float>;
using Steps = std::vector<std::uint64_t>;

namespace {

constexpr wire::SessionId id{1, 2};

/// A client of a disk's folder, before it is connected.
std::unique_ptr<Client> client_of(test::ModelDisk& disk) {
  auto learner = std::make_shared<split::Learner<float>>(test::server_part(), optim::Adam{});
  auto client = std::make_unique<Client>(
      split::ServerRole<float>{std::move(learner), split::CutReceiver<float>{{}, 7}});
  client->checkpoints = std::make_shared<split::Checkpoints>(
      "server", io::EveryN{2}, test::Resuming::options(nullptr), disk);
  return client;
}
wire::Hello hello_of(const wire::SessionId& session) { return {.session = session}; }
Steps steps_of(const Client& client) { return client.checkpoints->offered(); }
bool had_ended(const Client& client) {
  return dynamic_cast<const split::Checkpoints&>(*client.checkpoints.operator->()).had_ended();
}

CheckpointMessage answer_to(Client& client, std::uint64_t step) {
  const auto question = CheckpointMessage{.step = step}.payload();
  return CheckpointMessage::read(client.answer_checkpoint(question, false), step);
}

}  // namespace

TEST_CASE("KnownClient: the next process goes on from its newest checkpoint", "[split]") {
  test::ModelDisk disk;
  auto client = client_of(disk);
  CHECK(!client->restore(hello_of(id), 7));  // there is none
  client->state.id = id;
  CHECK(!client->is_worth_keeping());
  client->save_first_checkpoint();
  CHECK(client->is_worth_keeping());
  CHECK(steps_of(*client) == Steps{0});
  client->state.steps.restart(1);
  client->save_first_checkpoint();  // not after the first step
  client->save_checkpoint_if_due();
  CHECK(steps_of(*client) == Steps{0});
  client->state.steps.restart(2);
  client->save_checkpoint_if_due();
  CHECK(steps_of(*client) == Steps{0, 2});

  client.reset();  // and its lock
  client = client_of(disk);
  const auto refusal = client->restore(hello_of({1, 3}), 7);
  REQUIRE(refusal);
  CHECK(refusal->text() ==
        "handshake refused: session: the client has another one, the server has checkpoints of "
        "step 2");
  CHECK(client->last_step() == 0);
  CHECK(test::reason_of<StorageError>([&] { client->restore(hello_of(id), 8); }) ==
        Reason::wrong_content);
  CHECK(!client->restore(hello_of(id), 7));
  CHECK(client->last_step() == 2);
  CHECK(client->state.id == id);
}

TEST_CASE("KnownClient: a session belongs to who began it", "[split]") {
  test::ModelDisk disk;
  auto client = client_of(disk);
  CHECK(!client->belong_to("CN=alice"));
  client->state.id = id;
  CHECK(!client->belong_to("CN=alice"));
  const auto text_of = [&](const char* identity) {
    return client->belong_to(identity).value_or(wire::Refusal{}).text();
  };
  CHECK(text_of("CN=bob") ==
        "handshake refused: identity: the client has CN=bob, the server has a session of another "
        "one");
  CHECK(
      text_of("") ==
      "handshake refused: identity: the client has none, the server has a session of another one");
  CHECK(client->state.identity == "CN=alice");
}

TEST_CASE("KnownClient: the client asks for a checkpoint of both, and for the last", "[split]") {
  test::ModelDisk disk;
  auto client = client_of(disk);
  client->restore(hello_of(id), 7);
  client->state.id = id;
  client->state.steps.restart(5);
  CHECK(answer_to(*client, 5).held == CheckpointMessage::Held::yes);
  CHECK(steps_of(*client) == Steps{5});
  CHECK(test::reason_of([&] { answer_to(*client, 4); }) == Reason::wrong_step);
  client->state.steps.restart(6);
  answer_to(*client, 6);
  CHECK_FALSE(had_ended(*client));
  client->end_checkpoints();
  CHECK(steps_of(*client) == Steps{6});
  client.reset();
  CHECK(had_ended(*client_of(disk)));

  auto without = client_of(disk);
  without->checkpoints = {};
  CHECK(answer_to(*without, 0).held == CheckpointMessage::Held::never);
  CHECK(!without->restore(hello_of({1, 3}), 8));
  without->save_first_checkpoint();
  without->save_checkpoint_if_due();
  without->end_checkpoints();
  CHECK(!without->is_worth_keeping());
  without->is_superseded = true;
  CHECK(without->was_superseded());
  CHECK(without->is_worth_keeping());
}

TEST_CASE("KnownClient: heartbeats go on while a file is written", "[split]") {
  test::ModelDisk disk;
  const auto client = client_of(disk);
  client->restore(hello_of(id), 7);
  client->state.id = id;
  int writes = 0, free = 0;
  disk.before_change = [&](const test::ModelDisk&) {
    ++writes;
    if (!client->guard->try_lock()) return;
    ++free;
    client->guard->unlock();
  };
  client->save_first_checkpoint();
  client->save_checkpoint();
  answer_to(*client, 0);
  client->end_checkpoints();
  CHECK(writes > 4);
  CHECK(free == writes);
}
