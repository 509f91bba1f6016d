// SPDX-License-Identifier: MIT
#include <cerrno>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "split/resuming.hpp"
#include "support/catch.hpp"
#include "support/sanitizer.hpp"

// Disks that lose power, or one of whose calls fails, while two parties train: the training goes
// on, with the same outcome.

using namespace splitvit;
using test::ModelDisk;
using test::Resuming;

namespace {

constexpr std::uint64_t disk_steps = 4;

/// Both disks at one moment.
using Disks = std::pair<ModelDisk, ModelDisk>;

/// Both processes begin with these disks.
void start_with(Resuming& parties, const Disks& disks) {
  parties.hang_up();
  parties.client.reset();
  parties.server.reset();
  for (auto [disk, now] :
       {std::pair{&parties.client_disk, &disks.first}, {&parties.server_disk, &disks.second}}) {
    *disk = *now;
    disk->before_change = nullptr;
    disk->most_bytes = std::size_t{1} << 20;
  }
  parties.start_server();
  parties.start_client();
}

/// The disks before each change of a training. One party writes at a time.
std::vector<Disks> moments_of_training() {
  Resuming parties;
  std::vector<Disks> moments;
  const auto remember = [&](const ModelDisk&) {
    moments.emplace_back(parties.client_disk, parties.server_disk);
  };
  parties.hang_up();
  parties.client.reset();
  parties.client_disk = ModelDisk{};
  parties.client_disk.most_bytes = std::size_t{1} << 20;
  parties.client_disk.before_change = parties.server_disk.before_change = remember;
  parties.start_client();
  parties.train(disk_steps, [](std::uint64_t) {});
  parties.client_disk.before_change = parties.server_disk.before_change = nullptr;
  parties.hang_up();
  return moments;
}

}  // namespace

TEST_CASE("disks: both lose power at any moment, and the training goes on from whole checkpoints",
          "[split][long]") {
  const auto expected = test::undisturbed("none", disk_steps);
  const auto moments = moments_of_training();
  CHECK(moments.size() > 30);
  int losses = 0;
  for (std::size_t at = 0; at < moments.size(); at += SPLITVIT_SANITIZED ? 7 : 1)
    for (const auto kind : ModelDisk::all_kinds)
      for (const unsigned kept : {0u, 1u, 2u, ~0u}) {
        const auto& [of_client, of_server] = moments[at];
        if (kept > 1u << of_client.pending() && kept > 1u << of_server.pending() && kept != ~0u)
          continue;
        INFO("moment " << at << " of " << moments.size() << ", kind " << static_cast<int>(kind)
                       << ", names kept " << kept);
        Resuming parties;
        start_with(parties, {of_client.after_power_loss(kept, kind),
                             of_server.after_power_loss(kept, kind)});
        parties.connect();  // a client that has the last step alone goes back
        parties.train(disk_steps, [](std::uint64_t) {});
        REQUIRE(parties.finish() == expected);
        ++losses;
      }
  CHECK(losses > (SPLITVIT_SANITIZED ? 40 : 300));
}

TEST_CASE("disks: any one call may fail, at either party, and the training goes on",
          "[split][long]") {
  const auto expected = test::undisturbed("none", disk_steps);
  for (const bool at_client : {true, false})
    for (const int error : {EIO, ENOSPC}) {
      int failed = 0;
      for (int at = 0;; at += SPLITVIT_SANITIZED ? 7 : 1) {
        INFO((at_client ? "client" : "server") << ", call " << at << ", error " << error);
        Resuming parties;
        test::FailingFiles& files = at_client ? parties.client_files : parties.server_files;
        files.fail(at, error, false);
        parties.train(disk_steps - 1, [](std::uint64_t) {});
        const bool has_failed = files.calls() > at;
        files.stop_failing();
        parties.restart_client();
        parties.restart_server();
        parties.train(disk_steps, [](std::uint64_t) {});
        REQUIRE(parties.finish() == expected);
        if (!has_failed) break;
        ++failed;
      }
      CHECK(failed > (SPLITVIT_SANITIZED ? 0 : 10));
    }
}
