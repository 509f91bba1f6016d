// SPDX-License-Identifier: MIT
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <splitvit/codec/quantise.hpp>
#include <splitvit/compress/adc.hpp>
#include <splitvit/io/checkpoint_policy.hpp>
#include <splitvit/io/file_layer.hpp>
#include <splitvit/split/checkpoints.hpp>
#include <splitvit/split/group_checkpoints.hpp>
#include <splitvit/split/service.hpp>
#include <splitvit/split/simulation.hpp>
#include <splitvit/transport/tcp.hpp>

#include "split/group.hpp"
#include "support/catch.hpp"
#include "support/file_layers.hpp"
#include "support/sanitizer.hpp"
#include "support/temporary_folder.hpp"

using namespace splitvit;
using support::TemporaryFolder;
using test::ClientGroup;
using test::GroupResult;

namespace {

/// Ends a party without a word to its peer.
struct Killed {};

/// Which party is killed, and when: client 1, 2, ... after this step of its own, or the server, 0,
/// when it has answered so many steps of all clients.
struct Kill {
  std::uint32_t who;
  std::uint64_t step;
};

/// A group over TCP whose parties are killed and started again from their checkpoints.
class Killable {
 public:
  /// From step `disk_fails_at` of all clients on, 0: never, the server's disk is full until the
  /// first kill.
  Killable(const ClientGroup<float>& group, std::vector<Kill> kills,
           std::uint64_t disk_fails_at = 0)
      : group_{group},
        kills_{std::move(kills)},
        disk_fails_at_{disk_fails_at},
        clients_(group.clients()) {}

  GroupResult run() {
    std::vector<std::exception_ptr> errors(clients_.size());
    {
      std::vector<std::jthread> threads;
      for (std::uint32_t i = 1; i <= group_.clients(); ++i)
        threads.emplace_back([&, i] {
          try {
            while (!run_client(i)) {
            }
            ++gone_;
          } catch (...) {
            errors[i - 1] = std::current_exception();
            has_failed_ = true;
          }
        });
      while (!run_server() && !has_failed_) {
      }
    }
    for (const auto& error : errors)
      if (error) std::rethrow_exception(error);
    GroupResult result;
    for (const auto& client : clients_) result.add(*client);
    result.add(*server_);
    return result;
  }

  std::size_t kills_left() const { return kills_.size(); }
  /// How often all had to go back for one of them.
  int returns() const { return returns_; }

 private:
  std::shared_ptr<split::Checkpoints> checkpoints(const std::string& party) {
    io::FileLayer& files = party == "server" ? server_files_ : io::system_files();
    return std::make_shared<split::Checkpoints>(
        folder_.path() / party, io::Memory{},
        split::CheckpointOptions{.resume = true, .generations = {.retries = 0}}, files);
  }
  /// Whether it is this party's time. Each kill happens once.
  bool dies(std::uint32_t who, std::uint64_t step) {
    const std::lock_guard lock{guard_};
    const auto at = std::find_if(kills_.begin(), kills_.end(), [&](const Kill& kill) {
      return kill.who == who && kill.step == step;
    });
    if (at == kills_.end()) return false;
    kills_.erase(at);
    server_files_.stop_failing();
    return true;
  }
  transport::Endpoint endpoint() const {
    const std::lock_guard lock{guard_};
    return endpoint_;
  }

  /// A process of the server. Returns whether the training came to its end.
  bool run_server() {
    std::atomic<bool> is_killed = false;
    std::uint64_t steps = 0;
    ClientGroup<float> group = group_;
    group.options.on_step = [&](std::uint32_t, const split::StepReport&) {
      if (++steps == disk_fails_at_) server_files_.fail(0, ENOSPC, true);
      if (!dies(0, steps)) return;
      is_killed = true;
      std::this_thread::sleep_for(std::chrono::milliseconds{200});  // until the service sees it
    };
    server_.reset(new split::Server<float>(group.server()));
    server_->keep_group_checkpoints(checkpoints("server"), [this] { ++returns_; });
    transport::TcpListener listener{{"127.0.0.1", 0}};
    {
      const std::lock_guard lock{guard_};
      endpoint_ = listener.endpoint();
    }
    split::Service<float> service{*server_, {.at_once = group.clients()}};
    // A client that has gone may have told an earlier process.
    service.run(listener, [&] { return !is_killed && !has_failed_ && gone_ < group_.clients(); });
    if (!is_killed) server_->end_checkpoints();
    return !is_killed;
  }

  /// A process of a client. Returns whether the training came to its end.
  bool run_client(std::uint32_t number) try {
    auto& client = clients_[number - 1];
    client.reset();  // the folder's lock, too
    client = std::make_unique<split::Client<float>>(group_.role(), group_.client_options(number));
    client->keep_checkpoints(checkpoints("client-" + std::to_string(number)));
    while (true) try {
        client->reconnect(transport::connect_tcp(endpoint()));
        train(*client, number);
        client->close();
        return true;
      } catch (const ReasonedError& error) {
        const bool is_of_link = dynamic_cast<const TransportError*>(&error) != nullptr ||
                                error.reason() == Reason::peer_failed;  // the service says so
        if (!is_of_link) throw;
        if (has_failed_) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
      }
  } catch (const Killed&) {
    return false;
  }

  void train(split::Client<float>& client, std::uint32_t number) {
    do {
      while (client.role().steps_left() > 0) {
        auto [images, labels] = ClientGroup<float>::batch(number, client.steps());
        client.train_step(std::move(images), labels);
        if (dies(number, client.steps())) throw Killed{};
      }
      client.request_turn(group_.plan(number).next(client.steps()));
    } while (client.await_turn().what != split::Turn::What::over);
  }

  const ClientGroup<float>& group_;
  TemporaryFolder folder_;
  mutable std::mutex guard_;
  std::vector<Kill> kills_;
  std::uint64_t disk_fails_at_;
  test::FailingFiles server_files_{io::system_files()};
  transport::Endpoint endpoint_;
  std::unique_ptr<split::Server<float>> server_;
  std::vector<std::unique_ptr<split::Client<float>>> clients_;
  std::atomic<bool> has_failed_ = false;
  std::atomic<std::uint32_t> gone_ = 0;
  std::atomic<int> returns_ = 0;
};

/// Which weights of two trainings are the same.
std::string same(const std::vector<std::vector<float>>& a,
                 const std::vector<std::vector<float>>& b) {
  if (a == b) return "all";
  std::string text;
  for (std::size_t i = 0; i < a.size(); ++i) text += a[i] == b.at(i) ? " same" : " other";
  return text;
}

using BytesOfParties = std::vector<std::vector<std::uint64_t>>;
BytesOfParties bytes_of(const std::vector<split::Traffic>& all) {
  BytesOfParties bytes;
  for (const split::Traffic& one : all)
    bytes.push_back({one.up.payload, one.up.framing, one.down.payload, one.down.framing});
  return bytes;
}

/// Three clients, with everything that a step may keep.
ClientGroup<float> group_of(const std::string& mode) {
  return {.sharing = test::sharing_named<float>(mode),
          .steps = {6, 4, 5},
          .stage = compress::adc(0.5),
          .codec = codec::Quantise{.bits = 8, .rounding = codec::Rounding::stochastic},
          .options = {.evaluator = 1, .evaluate_every = 2}};
}

/// Trains while these are killed, and compares with an undisturbed training.
void require_same(const ClientGroup<float>& group, const std::vector<Kill>& kills,
                  std::uint64_t disk_fails_at = 0) {
  const GroupResult undisturbed = Killable{group, {}}.run();
  Killable parties{group, kills, disk_fails_at};
  const GroupResult result = parties.run();
  CHECK(same(undisturbed.weights, test::simulate(group).weights) == "all");
  CHECK(same(result.weights, undisturbed.weights) == "all");
  CHECK(bytes_of(result.cut) == bytes_of(undisturbed.cut));
  CHECK(bytes_of(result.shared) == bytes_of(undisturbed.shared));
  CHECK(parties.kills_left() == 0);
  CHECK(parties.returns() <= static_cast<int>(kills.size()));
}

}  // namespace

TEST_CASE("group checkpoints: whoever is killed, weights and bytes are those without it",
          "[split]") {
  const std::string mode = GENERATE("shared", "averaged", "relay");
  CAPTURE(mode);
  const ClientGroup<float> group = group_of(mode);
  SECTION("a client, within its first and its second turn") {
    require_same(group, {{2, 1}, {2, 3}});
  }
  SECTION("two clients at the end of a turn") { require_same(group, {{1, 2}, {3, 4}}); }
  SECTION("the server, twice") { require_same(group, {{0, 3}, {0, 5}}); }
  SECTION("all of them") { require_same(group, {{0, 4}, {1, 3}, {2, 2}, {3, 4}}); }
  SECTION("the server and a client, with the labels at the clients") {
    ClientGroup<float> at_home = group;
    at_home.second_cut = 2;
    require_same(at_home, {{0, 4}, {1, 4}});
  }
}

TEST_CASE("group checkpoints: clients that take no part in a round go back with the others",
          "[split]") {
  ClientGroup<float> group = group_of("averaged");
  group.sharing = split::Averaged<>{.per_round = 2};
  group.steps = {3, 6, 4, 5};
  require_same(group, {{0, 5}, {2, 3}, {4, 1}});
}

TEST_CASE("group checkpoints: where the newest could not be written, all go back to the one before",
          "[split]") {
  ClientGroup<float> group = group_of("shared");
  group.per_turn = 3;
  group.steps = {6, 6, 6};
  require_same(group, {{2, 5}}, 4);
}

TEST_CASE("group checkpoints: a simulation that was stopped goes on as if it had not been",
          "[split]") {
  const std::string mode = GENERATE("shared", "averaged", "relay");
  CAPTURE(mode);
  const ClientGroup<float> group = group_of(mode);
  const GroupResult undisturbed = test::simulate(group);
  constexpr int every = SPLITVIT_SANITIZED ? 7 : 1;
  for (int stop = 1; stop <= 15; stop += every) {
    const TemporaryFolder folder;
    GroupResult result;
    std::uint64_t resumed_at = 0;
    for (const bool stops : {true, false}) {
      split::Server<float> server = group.server();
      split::Simulation<float> simulation{server};
      for (std::uint32_t i = 1; i <= group.clients(); ++i)
        simulation.add(group.role(), group.client_options(i),
                       {group.plan(i), [&, i] {
                          return ClientGroup<float>::batch(i, simulation.client(i).steps());
                        }});
      const auto kept = std::make_shared<split::Checkpoints>(
          folder.path(), io::Memory{},
          split::CheckpointOptions{.resume = true,
                                   .more = [&](StateVisitor& see) { simulation.each_state(see); }});
      server.keep_group_checkpoints(kept);
      for (std::uint32_t i = 1; i <= group.clients(); ++i)
        resumed_at += simulation.client(i).steps();
      int steps = 0;
      try {
        simulation.run([&](split::Client<float>&, const split::StepReport&) {
          if (stops && ++steps == stop) throw Killed{};
        });
      } catch (const Killed&) {
        continue;
      }
      server.end_checkpoints();
      CHECK(kept->found().newest.has_value());
      for (std::uint32_t i = 1; i <= group.clients(); ++i) result.add(simulation.client(i));
      result.add(server);
    }
    CAPTURE(stop, resumed_at);
    CHECK(same(result.weights, undisturbed.weights) == "all");
    CHECK(result.cut == undisturbed.cut);
    CHECK(result.shared == undisturbed.shared);
    CHECK((stop < 7 || resumed_at > 0));
  }
}

TEST_CASE("group checkpoints: where they would take too much of the time, some are left out",
          "[split]") {
  const ClientGroup<float> group = group_of("shared");
  const TemporaryFolder folder;
  {
    split::Server<float> server = group.server();
    split::Simulation<float> simulation{server};
    group.add_all(simulation);
    server.keep_group_checkpoints(std::make_shared<split::Checkpoints>(folder.path(), io::Memory{}),
                                  {}, 1e-9);
    simulation.run();
  }
  const split::Checkpoints kept{folder.path(), io::Memory{}, {.resume = true}};
  REQUIRE(kept.found().newest);
  CHECK(kept.found().newest->step == 3);  // the first turns of all
  CHECK(!kept.had_ended());
}

TEST_CASE("group checkpoints: where none can be written, training goes on, and it is said",
          "[split]") {
  const ClientGroup<float> group = group_of("shared");
  const TemporaryFolder folder;
  test::FailingFiles files{io::system_files()};
  int failures = 0;
  split::Server<float> server = group.server();
  split::Simulation<float> simulation{server};
  group.add_all(simulation);
  server.keep_group_checkpoints(std::make_shared<split::Checkpoints>(
      folder.path(), io::Memory{},
      split::CheckpointOptions{.generations = {.retries = 0},
                               .on_failure = [&](const StorageError&) { ++failures; }},
      files));
  files.fail(0, ENOSPC, true);
  simulation.run();
  server.end_checkpoints();
  CHECK(failures > 5);
  CHECK(test::numbers_of<float>(server.group()->client_parts()) ==
        test::simulate(group).weights[group.clients() + 1]);
}

TEST_CASE("group checkpoints: what they cannot be used for", "[split]") {
  const TemporaryFolder folder;
  const auto make = [&](std::vector<std::uint64_t> steps, const char* sub = "a") {
    ClientGroup<float> group = group_of("shared");
    group.steps = std::move(steps);
    split::Server<float> server = group.server();
    split::Simulation<float> simulation{server};
    group.add_all(simulation);
    server.keep_group_checkpoints(std::make_shared<split::Checkpoints>(
        folder.path() / sub, io::Memory{}, split::CheckpointOptions{.resume = true}));
    simulation.run();
  };
  make({1, 2});
  // Of another number of clients.
  CHECK_THROWS_AS(make({1, 2, 3}), StorageError);
  make({1, 2, 3}, "b");
  split::Server<float> alone{test::server_part<float>(), optim::Adam{}};
  CHECK_THROWS_AS(alone.keep_group_checkpoints(
                      std::make_shared<split::Checkpoints>(folder.path() / "c", io::Memory{})),
                  std::logic_error);
  split::Server<float> server = group_of("shared").server();
  CHECK_THROWS_AS(server.keep_checkpoints(
                      [](const wire::Hello&) { return std::shared_ptr<split::Checkpoints>{}; }),
                  std::logic_error);
}
