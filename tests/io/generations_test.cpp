// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/io/generations.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/file_layers.hpp"
#include "support/storage_error.hpp"
#include "support/temporary_folder.hpp"

using namespace splitvit;
using namespace std::chrono_literals;
using Steps = std::vector<std::uint64_t>;

namespace {

constexpr io::GenerationOptions hasty{.keep = 2, .retries = 1, .pause = 0ms, .patience = 0ms};

/// The state of a step differs from that of all others.
io::Checkpoint generation(std::uint64_t step, std::uint64_t session = 1) {
  io::Checkpoint checkpoint{{.session = {session, 0}, .step = step, .settings = {{"cut", "2"}}}};
  checkpoint.sections["state"] = test::random_bytes(150, {.seed = step});
  return checkpoint;
}

bool is_whole(io::Generations& generations, std::uint64_t step) {
  return generations.load(step).sections == generation(step).sections;
}

std::vector<std::string> names_in(io::FileLayer& files, const std::string& folder) {
  std::vector<std::string> names;
  files.list(folder, names);
  std::ranges::sort(names);
  return names;
}

}  // namespace

TEST_CASE("newest_common: the newest step that both have", "[io]") {
  CHECK(io::newest_common(Steps{0, 10, 20}, Steps{0, 10}) == 10);
  CHECK(io::newest_common(Steps{20, 0}, Steps{0, 10, 20, 30}) == 20);
  CHECK(io::newest_common(Steps{0}, Steps{0}) == 0);
  CHECK(io::newest_common(Steps{1}, Steps{2}) == std::nullopt);
  CHECK(io::newest_common(Steps{}, Steps{}) == std::nullopt);
}

TEST_CASE("Generations: a training on a real disk goes on after its end", "[io]") {
  const support::TemporaryFolder outer;
  const auto folder = outer.path() / "run" / "client-0";
  {
    io::Generations generations{folder, {.keep = 2}};
    CHECK(generations.folder() == folder);
    CHECK(generations.find().steps.empty());
    CHECK_FALSE(generations.find().newest);
    CHECK_FALSE(generations.joint());
    for (const std::uint64_t step : Steps{0, 10, 20, 30}) {
      generations.save(generation(step));
      if (step <= 20) generations.set_joint(step);
    }
    CHECK(generations.joint() == 20);
    CHECK(generations.steps() == Steps{20, 30});
    CHECK(generations.holds(30));
    CHECK_FALSE(generations.holds(10));
  }
  outer.write("run/client-0/gen-000031.ckpt.tmp-1-1", test::bytes_of("half"));
  outer.write("run/client-0/notes.txt", test::bytes_of("mine"));
  io::Generations generations{folder};
  CHECK(names_in(io::system_files(), folder.string()) ==
        std::vector<std::string>{"gen-000020.ckpt", "gen-000030.ckpt", "lock", "notes.txt"});
  const auto found = generations.find();
  CHECK(found.steps == Steps{20, 30});
  CHECK(found.newest->step == 30);
  CHECK(found.newest->settings == generation(30).settings);
  CHECK(found.skipped.empty());
  CHECK(is_whole(generations, 20));
  CHECK(is_whole(generations, 30));
  CHECK(generations.load(20).source == (folder / "gen-000020.ckpt").string());
  CHECK((std::filesystem::status(folder / "gen-000020.ckpt").permissions() &
         (std::filesystem::perms::group_all | std::filesystem::perms::others_all)) ==
        std::filesystem::perms::none);
}

TEST_CASE("Generations: files that cannot be used are named and passed over", "[io]") {
  test::ModelDisk disk;
  disk.mkdir("a");
  const auto file_of = [](const io::Checkpoint& checkpoint) {
    return io::format_checkpoint(checkpoint);
  };
  auto torn = file_of(generation(90));
  torn.resize(torn.size() / 2);
  auto damaged = file_of(generation(80));
  damaged[120] ^= std::byte{4};
  auto newer_version = file_of(generation(70));
  newer_version[8] = std::byte{2};
  disk.put("a/gen-000090.ckpt", torn);
  disk.put("a/gen-000080.ckpt", damaged);
  disk.put("a/gen-000070.ckpt", newer_version);
  disk.put("a/gen-000060.ckpt", test::bytes_of("#!/bin/sh, another format"));
  disk.put("a/gen-000050.ckpt", {});
  disk.put("a/gen-000040.ckpt", file_of(generation(39)));
  disk.put("a/gen-000030.ckpt", file_of(generation(30)));
  disk.put("a/gen-000020.ckpt", file_of(generation(20, 2)));
  disk.put("a/gen-000010.ckpt", file_of(generation(10)));
  disk.put("a/gen-1234567.ckpt", std::vector<std::byte>(3000));
  for (const char* other : {"gen-10.ckpt", "gen-.ckpt", "gen-x00010.ckpt", "gen-000010.ckpt~",
                            "gen--00001.ckpt", ".ckpt", "gen-99999999999999999999.ckpt"})
    disk.put(std::string{"a/"} + other, file_of(generation(10)));

  io::GenerationOptions options = hasty;
  options.most_bytes = 2000;
  io::Generations generations{"a", options, disk};
  const auto found = generations.find();
  CHECK(found.steps == Steps{10, 30});
  CHECK(found.newest->step == 30);
  const std::vector<std::pair<Reason, std::string>> wanted{
      {Reason::too_long, "a/gen-1234567.ckpt: more than 2000 bytes"},
      {Reason::damaged_file, "a/gen-000090.ckpt: "},
      {Reason::damaged_file, "a/gen-000080.ckpt: the checksum of section 'state' is wrong"},
      {Reason::bad_version, "a/gen-000070.ckpt: a checkpoint of version 2, wanted version 1"},
      {Reason::foreign_file, "a/gen-000060.ckpt: not a checkpoint"},
      {Reason::damaged_file, "a/gen-000050.ckpt: only 0 bytes"},
      {Reason::wrong_content, "a/gen-000040.ckpt: a checkpoint of step 39, wanted step 40"},
      {Reason::wrong_content,
       "a/gen-000020.ckpt: a checkpoint of session 00000000000000020000000000000000, wanted "
       "00000000000000010000000000000000"}};
  REQUIRE(found.skipped.size() == wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    CHECK(found.skipped[i].reason() == wanted[i].first);
    CHECK_THAT(found.skipped[i].what(), ContainsSubstring(wanted[i].second));
  }

  CHECK(generations.find({{2, 0}}).steps == Steps{20});
  CHECK(support::fails_with(Reason::wrong_content, [&] { generations.load(40); }));
  CHECK(support::fails_with(Reason::cannot_open, [&] { generations.load(5); }));
  generations.find();
  generations.go_back_to(10);
  CHECK(generations.find().skipped.empty());
  CHECK(generations.find().steps == Steps{10});
}

TEST_CASE("Generations: the newest joint one stays, whatever is written after it", "[io]") {
  test::ModelDisk disk;
  io::Generations generations{"a", {.keep = 3}, disk};
  for (std::uint64_t step = 0; step < 5; ++step) generations.save(generation(step));
  CHECK(generations.find().steps == Steps{0, 1, 2, 3, 4});  // the peer may have any of them
  generations.set_joint(1);
  CHECK(generations.find().steps == Steps{1, 2, 3, 4});
  for (std::uint64_t step = 5; step < 9; ++step) generations.save(generation(step));
  CHECK(generations.find().steps == Steps{1, 6, 7, 8});
  generations.set_joint(8);
  CHECK(generations.find().steps == Steps{6, 7, 8});
  generations.go_back_to(6);
  CHECK_THROWS_AS(generations.set_joint(8), std::logic_error);
  CHECK(generations.find().steps == Steps{6});
  generations.save(generation(7));
  generations.save(generation(7));  // replaced
  CHECK(generations.find().steps == Steps{6, 7});
  generations.keep_only(7);
  CHECK(generations.find().steps == Steps{7});
  for (const std::uint64_t step : Steps{8, 9, 10, 11}) generations.save(generation(step));
  CHECK(generations.find().steps == Steps{7, 9, 10, 11});

  CHECK_THROWS_AS(generations.set_joint(12), std::logic_error);
  CHECK_THROWS_AS(generations.go_back_to(8), std::logic_error);
  CHECK_THROWS_AS(generations.keep_only(12), std::logic_error);
  CHECK(generations.find().steps == Steps{7, 9, 10, 11});
}

TEST_CASE("Generations: files that are not whole take no place of one that is", "[io]") {
  test::ModelDisk disk;
  disk.mkdir("a");
  for (const char* name : {"a/gen-000070.ckpt", "a/gen-000080.ckpt", "a/gen-000090.ckpt"})
    disk.put(name, test::bytes_of("torn"));
  io::Generations generations{"a", hasty, disk};
  CHECK(generations.find().steps.empty());
  for (const std::uint64_t step : Steps{0, 10, 20, 30}) {
    generations.save(generation(step));
    if (step == 0) generations.set_joint(step);
    CHECK(generations.find().newest->step == step);
    CHECK(generations.find().skipped.size() == 3);
  }
  CHECK(generations.find().steps == Steps{0, 20, 30});
}

TEST_CASE("Generations: an old one that cannot be deleted is tried again", "[io]") {
  test::ModelDisk disk;
  test::FailingFiles files{disk};
  io::Generations generations{"a", hasty, files};
  for (const std::uint64_t step : Steps{1, 2, 3}) generations.save(generation(step));
  files.fail(0, EIO, false);
  generations.set_joint(3);
  CHECK(generations.find().steps == Steps{1, 2, 3});
  generations.set_joint(3);
  CHECK(generations.find().steps == Steps{2, 3});
  files.fail(1, EIO, false);  // after the list
  CHECK(support::complaint_of([&] { generations.go_back_to(2); })->text ==
        "a/gen-000003.ckpt: cannot delete: Input/output error");
  generations.go_back_to(2);
  CHECK(generations.find().steps == Steps{2});
}

TEST_CASE("Generations: options and folders that cannot be used", "[io]") {
  test::ModelDisk disk;
  CHECK_THROWS_AS((io::Generations{"a", {.keep = 1}, disk}), std::invalid_argument);
  CHECK_THROWS_AS((io::Generations{"a", {.retries = -1}, disk}), std::invalid_argument);
  const io::Generations first{"a", hasty, disk};
  CHECK(support::fails_with(Reason::in_use, [&] { io::Generations{"a", hasty, disk}; }));

  const support::TemporaryFolder folder;
  const auto file = folder.write("file", {});
  for (const auto& path : {file, file / "below"})
    CHECK_THAT(support::complaint_of([&] { io::Generations{path, hasty}; })->text,
               ContainsSubstring(path.string()) && ContainsSubstring("Not a directory"));
  test::FailingFiles read_only{disk};
  read_only.fail(0, EROFS, true);
  CHECK(support::complaint_of([&] { io::Generations{"b", hasty, read_only}; })->text ==
        "b: cannot make the folder: Read-only file system");
}

TEST_CASE("Generations: a full disk fails a save, and no generation is lost", "[io]") {
  test::ModelDisk disk;
  test::FailingFiles files{disk};
  io::Generations generations{"a", hasty, files};
  generations.save(generation(1));
  files.fail(1, ENOSPC, true);
  const auto said = support::complaint_of([&] { generations.save(generation(2)); });
  REQUIRE(said);
  CHECK(said->reason == Reason::cannot_write);
  CHECK_THAT(said->text, ContainsSubstring("a/gen-000002.ckpt") &&
                             ContainsSubstring("No space left on device; tried 2 times"));
  files.stop_failing();
  CHECK(generations.find().steps == Steps{1});
  generations.save(generation(2));
  CHECK(generations.find().steps == Steps{1, 2});
}

TEST_CASE("Generations: what is read again must be what was written", "[io]") {
  /// Damages the byte that is written last.
  struct BadDisk : test::ModelDisk {
    std::ptrdiff_t write(int file, std::span<const std::byte> from) override {
      std::vector<std::byte> changed{from.begin(), from.end()};
      changed.back() ^= std::byte{1};
      return ModelDisk::write(file, changed);
    }
  } disk;
  io::Generations generations{"a", hasty, disk};
  CHECK_THAT(support::complaint_of([&] { generations.save(generation(1)); })->text,
             ContainsSubstring("does not hold what was written"));
}

// What a training does, on a disk or layer of a test. `saved` hears of each save that has returned.
static void write_generations(io::FileLayer& files, const auto& saved) {
  io::Generations generations{"run/client", hasty, files};
  for (std::uint64_t step = 0; step < 6; ++step) {
    generations.save(generation(step));
    saved(step);
    if (step != 3) generations.set_joint(step);
  }
}

TEST_CASE("Generations: any one call may fail, and the training is saved all the same", "[io]") {
  int calls = 0;
  for (int at = 0; at == 0 || at < calls; ++at)
    for (const int error : {EIO, ENOSPC, EINTR, EACCES}) {
      test::ModelDisk disk;
      test::FailingFiles files{disk};
      files.fail(at, error, false);
      std::optional<std::uint64_t> last;
      const auto said = support::complaint_of(
          [&] { write_generations(files, [&](std::uint64_t step) { last = step; }); });
      if (at == 0) calls = std::max(calls, files.calls());
      // Before the first save nothing is retried; the folder and its lock are refused.
      INFO("call " << at << " of " << calls << ", error " << error << ": "
                   << (said ? said->text : ""));
      REQUIRE((!said || (!last && error != EINTR)));
      if (said) continue;
      io::Generations generations{"run/client", hasty, disk};
      REQUIRE(generations.find().newest->step == 5);
      REQUIRE(is_whole(generations, 5));
      REQUIRE(generations.find().skipped.empty());
    }
  CHECK(calls > 100);
}

TEST_CASE("Generations: from any call on all may fail, and no generation is lost", "[io]") {
  int calls = 0;
  for (int at = 0; at == 0 || at < calls; ++at)
    for (const int error : {EIO, ENOSPC}) {
      test::ModelDisk disk;
      test::FailingFiles files{disk};
      if (at == 0) {  // counts the calls
        write_generations(files, [](std::uint64_t) {});
        calls = files.calls();
      }
      files.fail(at, error, true);
      std::optional<std::uint64_t> last;
      const auto said = support::complaint_of(
          [&] { write_generations(files, [&](std::uint64_t step) { last = step; }); });
      INFO("from call " << at << " of " << calls << ": " << (said ? said->text : ""));
      if (!last) continue;
      if (said) REQUIRE(said->reason == Reason::cannot_write);
      io::Generations generations{"run/client", hasty, disk};
      const auto found = generations.find();
      REQUIRE(found.newest);
      REQUIRE(found.newest->step >= *last);
      REQUIRE(is_whole(generations, found.newest->step));
      REQUIRE(found.skipped.empty());
    }
}

TEST_CASE("Generations: a loss of power at any moment leaves the newest generation", "[io]") {
  test::ModelDisk disk;
  std::optional<std::uint64_t> returned;  // the newest step whose save has returned
  std::optional<std::uint64_t> joint;
  int states = 0, moments = 0;
  const auto check = [&](const test::ModelDisk& now) {
    ++moments;
    REQUIRE(now.pending() < 8);
    for (unsigned kept = 0; kept < 1u << now.pending(); ++kept)
      for (const auto kind : test::ModelDisk::all_kinds) {
        ++states;
        test::ModelDisk after = now.after_power_loss(kept, kind);
        io::Generations generations{"run/client", hasty, after};
        const auto found = generations.find();
        REQUIRE(found.skipped.empty());
        REQUIRE(found.newest.has_value() >= returned.has_value());
        for (const std::uint64_t step : found.steps) REQUIRE(is_whole(generations, step));
        if (returned) REQUIRE(found.newest->step >= *returned);
        if (joint) REQUIRE(std::ranges::find(found.steps, *joint) != found.steps.end());
      }
  };
  disk.before_change = check;
  disk.most_bytes = 32;
  {
    io::Generations generations{"run/client", hasty, disk};
    for (std::uint64_t step = 0; step < 6; ++step) {
      generations.save(generation(step));
      returned = step;
      if (step == 3) continue;  // the answer of the peer was lost
      generations.set_joint(step);
      joint = step;
    }
    // The peer has lost step 5: both go on from step 4, which this one has, too.
    joint = returned = 4;
    generations.go_back_to(4);
    check(disk);
    REQUIRE(generations.find().newest->step == 4);
  }
  disk.before_change = nullptr;
  test::ModelDisk after = disk.after_power_loss(0, test::ModelDisk::Unsynced::dropped);
  CHECK(io::Generations("run/client", hasty, after).find().newest->step == 4);
  CHECK(moments > 80);
  CHECK(states > 1000);
}
