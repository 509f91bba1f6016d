// SPDX-License-Identifier: MIT
#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <splitvit/split/checkpoints.hpp>

#include "split/resuming.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using test::Resuming;
using Steps = std::vector<std::uint64_t>;

namespace {

/// The disk without the locks that others hold.
test::ModelDisk unlocked(const test::ModelDisk& disk) {
  return disk.after_power_loss(~0u, test::ModelDisk::Unsynced::kept);
}

Steps steps_on(const test::ModelDisk& disk, const std::string& folder) {
  test::ModelDisk copy = unlocked(disk);
  io::Generations generations{folder, {.patience = {}}, copy};
  return generations.find().steps;
}

/// Of a party without state.
constexpr auto nothing = [](StateVisitor&) {};

/// Changes the newest checkpoint on a disk.
void change(test::ModelDisk& disk, const std::string& folder, const auto& change) {
  io::Generations generations{folder, {.patience = {}}, disk};
  io::Checkpoint checkpoint = generations.load(generations.find().newest->step);
  change(checkpoint);
  generations.save(checkpoint);
}

}  // namespace

TEST_CASE("Checkpoints: a folder that holds some is not taken for a new training", "[split]") {
  Resuming parties;
  parties.train(2, [](std::uint64_t) {});
  parties.hang_up();
  parties.client.reset();
  std::string text;
  CHECK(test::reason_of<StorageError>(
            [&] { split::Checkpoints{"client", io::EveryStep{}, {}, parties.client_disk}; },
            &text) == Reason::wrong_content);
  CHECK(text == "client: holds a checkpoint of step 2; go on from it, or name another folder");
  CHECK_THROWS_AS((split::Checkpoints{"new", io::EveryN{.steps = 0}, {}, parties.client_disk}),
                  std::invalid_argument);
}

TEST_CASE("Checkpoints: only the same training goes on from them", "[split]") {
  Resuming parties;
  parties.train(2, [](std::uint64_t) {});
  parties.hang_up();
  parties.client.reset();
  const auto refusal = [&](split::ClientOptions options) {
    auto sender = split::CutSender<float>{compress::Identity{}, {}, options.seed};
    split::Client<float> other{
        split::ClientRole<float>{{test::client_part(), optim::Adam{}}, std::move(sender)}, options};
    std::string text;
    test::reason_of<StorageError>(
        [&] {
          other.keep_checkpoints(std::make_shared<split::Checkpoints>(
              "client", io::EveryStep{}, Resuming::options(&parties.losses), parties.client_disk));
        },
        &text);
    return text;
  };
  CHECK(refusal({.seed = 8}) == "client: seed of draws is '7', wanted '8'");
  CHECK(refusal({.seed = 7, .client = 1}) == "client: client is '0', wanted '1'");
  CHECK(refusal({.seed = 7, .method = "adc"}) == "client: method is 'none', wanted 'adc'");
  CHECK(refusal({.seed = 7, .agreed = {{"lr", "1"}}}) == "client: lr is nothing, wanted '1'");
  CHECK(refusal({.seed = 7, .micro_batches = 2}) == "client: micro_batches is nothing, wanted '2'");
  CHECK(refusal({.seed = 7}).empty());
}

TEST_CASE("Checkpoints: they are kept from the start only, and of one session", "[split]") {
  Resuming parties;
  parties.connect();
  CHECK_THROWS_AS(parties.client->keep_checkpoints(nullptr), std::logic_error);
  parties.step();
  CHECK_THROWS_AS(parties.client->keep_checkpoints(nullptr), std::logic_error);
  parties.hang_up();
  // The client's folder is lost: it begins a new session, which the server's folder is not of.
  parties.client.reset();
  parties.client_disk = test::ModelDisk{};
  parties.start_client();
  CHECK(parties.client->steps() == 0);
  parties.restart_server();
  CHECK_THROWS_WITH(parties.connect(),
                    ContainsSubstring("the client has another one, the server has checkpoints of"));
  CHECK_THROWS_AS(parties.serving->finish(), WireError);
}

TEST_CASE("Checkpoints: both write the same steps, and in the end keep the last", "[split]") {
  Resuming parties{"none", Resuming::every(io::EveryN{2})};
  CHECK(steps_on(parties.client_disk, "client") == Steps{0});  // before the first connection
  parties.connect();
  CHECK(steps_on(parties.server_disk, "server") == Steps{0});  // before the first step
  parties.train(7, [](std::uint64_t) {});
  CHECK(steps_on(parties.client_disk, "client") == Steps{4, 6});
  CHECK(steps_on(parties.server_disk, "server") == Steps{4, 6});
  parties.finish();
  CHECK(steps_on(parties.client_disk, "client") == Steps{7});
  CHECK(steps_on(parties.server_disk, "server") == Steps{7});
  for (auto [folder, disk] :
       {std::pair{"client", &parties.client_disk}, std::pair{"server", &parties.server_disk}}) {
    test::ModelDisk copy = unlocked(*disk);
    CHECK(split::Checkpoints{folder, io::Memory{}, Resuming::options(nullptr), copy}.had_ended());
  }
  // A longer training goes on from there.
  parties.restart_client();
  parties.restart_server();
  CHECK(parties.client->steps() == 7);
  parties.train(8, [](std::uint64_t) {});
  CHECK(parties.finish().losses == test::undisturbed("none", 8).losses);
}

TEST_CASE("Checkpoints: the server may ask for more of them; the smaller number of steps holds",
          "[split]") {
  for (const std::uint64_t of_client : {std::uint64_t{3}, std::uint64_t{50}}) {
    Resuming parties{
        "none", Resuming::every(io::EveryN{of_client}),
        [](const char* folder, split::CheckpointOptions options, io::FileLayer& files) {
          options.every = 5;
          return std::make_shared<split::Checkpoints>(folder, io::Memory{}, std::move(options),
                                                      files);
        }};
    parties.train(6, [](std::uint64_t) {});
    const Steps wanted = of_client == 3 ? Steps{5, 6} : Steps{0, 5};
    CHECK(steps_on(parties.client_disk, "client") == wanted);
    CHECK(steps_on(parties.server_disk, "server") == wanted);
    parties.restart_client();  // asks anew
    parties.restart_server();
    parties.train(11, [](std::uint64_t) {});
    CHECK(steps_on(parties.client_disk, "client").back() == 10);
    CHECK(parties.finish() == test::undisturbed("none", 11));
  }
}

TEST_CASE(
    "Checkpoints: a server that writes for longer than a silence may last is not taken for dead",
    "[split][timing]") {
  using namespace std::chrono_literals;
  const wire::SessionOptions session{.heartbeat = 20ms};  // dead after 1.04 s
  test::ModelDisk disk;
  disk.most_bytes = std::size_t{1} << 20;
  std::atomic<bool> is_slow = false;
  disk.before_change = [&](const test::ModelDisk&) {
    if (is_slow) std::this_thread::sleep_for(400ms);
  };
  split::Server server{test::server_part(), optim::Adam{}, {.session = session}};
  server.keep_checkpoints([&](const wire::Hello&) {
    return std::make_shared<split::Checkpoints>("server", io::EveryStep{},
                                                Resuming::options(nullptr), disk);
  });
  std::optional<test::Serving<split::Server<float>>> serving;
  split::Client client{test::client_part(),
                       optim::Adam{},
                       compress::Identity{},
                       test::dial(server, serving),
                       {.session = session}};
  test::RandomBatches<float> batches;
  auto batch = batches.make();
  client.train_step(std::move(batch.images), batch.labels);
  is_slow = true;
  batch = batches.make();
  const auto start = transport::Clock::now();
  CHECK_NOTHROW(client.train_step(std::move(batch.images), batch.labels));
  CHECK(transport::Clock::now() - start > 1100ms);
  is_slow = false;
  client.close();
  serving->finish();
}

TEST_CASE("Checkpoints: a reply leaves after its step is written, although heartbeats are due",
          "[split][timing]") {
  using namespace std::chrono_literals;
  const wire::SessionOptions session{.heartbeat = 10ms};
  test::ModelDisk disk;
  disk.most_bytes = std::size_t{1} << 20;
  std::atomic<int> asked = 0, answered = 0, writes = 0, late_writes = 0;
  disk.before_change = [&](const test::ModelDisk&) {
    std::this_thread::sleep_for(5ms);
    if (asked == 0) return;
    ++writes;
    if (answered == asked) ++late_writes;
  };
  split::Server server{test::server_part(), optim::Adam{}, {.session = session}};
  server.keep_checkpoints([&](const wire::Hello&) {
    return std::make_shared<split::Checkpoints>("server", io::EveryStep{},
                                                Resuming::options(nullptr), disk);
  });
  std::optional<test::Serving<split::Server<float>>> serving;
  split::Client client{test::client_part(),
                       optim::Adam{},
                       compress::Identity{},
                       test::dial(server, serving),
                       {.session = session}};
  test::RandomBatches<float> batches;
  for (int step = 1; step <= 3; ++step) {
    auto batch = batches.make();
    asked = step;
    client.train_step(std::move(batch.images), batch.labels);
    answered = step;
    std::this_thread::sleep_for(20ms);
  }
  CHECK(writes > 3);
  CHECK(late_writes == 0);
  client.close();
  serving->finish();
}

TEST_CASE("Checkpoints: a server that keeps none lets the client's old ones go", "[split]") {
  Resuming parties{"none", Resuming::every(io::EveryStep{})};
  parties.server->keep_checkpoints({});
  parties.train(4, [](std::uint64_t) {});
  CHECK(steps_on(parties.client_disk, "client") == Steps{3, 4});
  // The server is there still, so the client may be started again.
  parties.restart_client();
  CHECK(parties.client->steps() == 4);
  parties.train(6, [](std::uint64_t) {});
  CHECK(parties.finish() == test::undisturbed("none", 6));
}

namespace {

/// A checkpoint every second step; those that cannot be written are added to `failures`.
auto reporting(std::vector<std::string>& failures) {
  return [&failures](const char* folder, split::CheckpointOptions options, io::FileLayer& files) {
    options.on_failure = [&failures](const StorageError& error) {
      CHECK(error.reason() == Reason::cannot_write);
      failures.push_back(error.what());
    };
    return std::make_shared<split::Checkpoints>(folder, io::EveryN{2}, std::move(options), files);
  };
}

}  // namespace

TEST_CASE("Checkpoints: what cannot be written is reported, and training goes on", "[split]") {
  for (const bool at_client : {true, false}) {
    INFO((at_client ? "client" : "server"));
    std::vector<std::string> failures;
    Resuming parties{"none", reporting(failures)};
    test::FailingFiles& full = at_client ? parties.client_files : parties.server_files;
    parties.train(3, [&](std::uint64_t step) {
      if (step == 1) full.fail(0, ENOSPC, true);
      if (step == 2) full.stop_failing();
    });
    REQUIRE(failures.size() == 1);
    CHECK_THAT(failures[0], at_client ? ContainsSubstring("client/gen-000002.ckpt")
                                      : ContainsSubstring("the server could not write its "
                                                          "checkpoint of step 2"));
    parties.restart_client();
    parties.restart_server();
    CHECK(parties.client->steps() == (at_client ? 0 : 2));
    parties.connect();
    CHECK(parties.client->steps() == 0);  // the newest that both have
    parties.train(6, [](std::uint64_t) {});
    CHECK(parties.finish() == test::undisturbed("none", 6));
  }
}

TEST_CASE("Checkpoints: a disk without room for the server's first one is reported", "[split]") {
  std::vector<std::string> failures;
  Resuming parties{"none", Resuming::every(io::EveryN{2}), reporting(failures)};
  test::FailingFiles& full = parties.server_files;
  full.fail(9, ENOSPC, true);  // the folder, its lock and its list are there
  parties.connect();
  parties.step();
  REQUIRE(failures.size() == 2);  // with the client's first connection, and before the first step
  for (const std::string& failure : failures)
    CHECK_THAT(failure,
               ContainsSubstring("server/gen-000000.ckpt") && ContainsSubstring("No space left"));
  full.stop_failing();
  parties.train(6, [](std::uint64_t) {});
  CHECK(parties.finish() == test::undisturbed("none", 6));
}

TEST_CASE("Checkpoints: what is not the state of this party is refused and changes nothing",
          "[split]") {
  const auto refusal = [](bool at_client, const auto& make_worse) {
    Resuming parties;
    parties.train(2, [](std::uint64_t) {});
    parties.hang_up();
    std::string text;
    if (at_client) {
      parties.client.reset();
      change(parties.client_disk, "client", make_worse);
      CHECK(test::reason_of<StorageError>([&] { parties.start_client(); }, &text) ==
            Reason::wrong_content);
      CHECK(parties.client->steps() == 0);
      return text;
    }
    parties.server.reset();
    change(parties.server_disk, "server", make_worse);
    parties.start_server();
    CHECK(test::reason_of<WireError>([&] { parties.connect(); }, &text) == Reason::peer_failed);
    CHECK_THROWS_AS(parties.serving->finish(), StorageError);
    CHECK(parties.server->steps() == 0);
    CHECK(test::numbers_of<float>(parties.server->part()) ==
          test::numbers_of<float>(test::server_part()));
    return text;
  };
  for (const bool at_client : {true, false}) {
    CHECK_THAT(refusal(at_client, [](io::Checkpoint& c) { c.sections.erase("party"); }),
               ContainsSubstring("no section 'party'"));
    CHECK_THAT(refusal(at_client, [](io::Checkpoint& c) { c.sections["session"].pop_back(); }),
               ContainsSubstring("section 'session'"));
    CHECK_THAT(refusal(at_client,
                       [](io::Checkpoint& c) {
                         wire::SessionState other;
                         c.restore("session", other);
                         other.steps.restart(1);
                         c.add("session", other);
                       }),
               ContainsSubstring("its session is another one"));
  }
  // A list of replies that ends in the middle of one is seen after other values have been set.
  CHECK_THAT(refusal(false,
                     [](io::Checkpoint& c) {
                       struct Torn {
                         wire::SessionState state;
                         void each_state(StateVisitor& see) {
                           const auto tear = [&]<class V>(const std::string& name, V& value) {
                             if constexpr (std::same_as<V, std::vector<std::byte>>)
                               if (name == "replies")
                                 value = std::vector<std::byte>(9, std::byte{7});
                             see(name, value);
                             if constexpr (std::same_as<V, std::vector<std::byte>>)
                               if (name == "replies") value.clear();
                           };
                           state.each_state(tear);
                         }
                       } torn;
                       c.restore("session", torn.state);
                       c.add("session", torn);
                     }),
             ContainsSubstring("a reply ends too early"));
}

TEST_CASE("Checkpoints: a client without a connection saves its own", "[split]") {
  Resuming parties{"none", Resuming::every(io::Memory{})};
  parties.train(3, [](std::uint64_t) {});
  parties.hang_up();
  parties.client->checkpoint();
  CHECK(steps_on(parties.client_disk, "client") == Steps{0, 3});
  parties.restart_client();
  CHECK(parties.client->steps() == 3);
  parties.connect();  // the server is at this step, too
  CHECK(parties.client->steps() == 3);
  parties.train(6, [](std::uint64_t) {});
  CHECK(parties.finish() == test::undisturbed("none", 6));
}

TEST_CASE("Checkpoints: the program's own settings must be equal, too", "[split]") {
  test::ModelDisk disk;
  disk.most_bytes = 4096;
  wire::SessionState session{.id = {1, 1}};
  const auto begin = [&](const char* batch) {
    auto options = Resuming::options(nullptr);
    options.settings = {{"batch", batch}};
    split::Checkpoints checkpoints{"client", io::EveryStep{}, options, disk};
    checkpoints.use({}, 0, 0);
    checkpoints.save(session, nothing);
  };
  begin("32");
  begin("32");
  CHECK_THROWS_WITH(begin("64"), ContainsSubstring("client: batch is '32', wanted '64'"));
}

TEST_CASE("Checkpoints: a server saves all sessions when it is told to", "[split]") {
  Resuming parties{"none", Resuming::every(io::Memory{})};
  parties.train(3, [](std::uint64_t) {});
  CHECK(steps_on(parties.server_disk, "server") == Steps{0});
  parties.server->save_checkpoints();
  CHECK(steps_on(parties.server_disk, "server") == Steps{0, 3});
  parties.restart_server();
  parties.connect();
  CHECK(parties.client->steps() == 3);
  parties.train(6, [](std::uint64_t) {});
  CHECK(parties.finish() == test::undisturbed("none", 6));
}

TEST_CASE("Checkpoints: at most 64 steps are named, the oldest and the newest", "[split]") {
  test::ModelDisk disk;
  disk.most_bytes = 4096;
  split::Checkpoints checkpoints{"client", io::EveryStep{}, {}, disk};
  wire::SessionState session{.id = {1, 1}};
  checkpoints.use({}, 0, 0);
  for (std::uint64_t step = 0; step < 70; ++step) {
    session.steps.restart(step);
    checkpoints.save(session, nothing);
  }
  const Steps offered = checkpoints.offered();
  REQUIRE(offered.size() == 64);
  CHECK(offered.front() == 0);
  CHECK(offered[1] == 7);
  CHECK(offered.back() == 69);
}
