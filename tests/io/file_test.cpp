// SPDX-License-Identifier: MIT
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <splitvit/core/file.hpp>
#include <splitvit/io/file.hpp>

#include "support/catch.hpp"
#include "support/file_layers.hpp"
#include "support/storage_error.hpp"
#include "support/temporary_folder.hpp"

using namespace splitvit;

namespace {

std::vector<std::byte> some_bytes(std::size_t count, int seed) {
  std::vector<std::byte> out(count);
  for (std::size_t i = 0; i < count; ++i)
    out[i] = static_cast<std::byte>((i * 31 + static_cast<std::size_t>(seed)) & 255u);
  return out;
}

std::ptrdiff_t files_in(const std::filesystem::path& folder) {
  return std::distance(std::filesystem::directory_iterator{folder},
                       std::filesystem::directory_iterator{});
}

}  // namespace

TEST_CASE("write_file_atomically: writes, replaces and leaves nothing else", "[io]") {
  const support::TemporaryFolder folder;
  const auto path = folder.path() / "file";
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{100000}}) {
    const auto bytes = some_bytes(size, static_cast<int>(size));
    io::write_file_atomically(path, bytes);
    CHECK(read_file(path, 1 << 20) == bytes);
    CHECK(files_in(folder.path()) == 1);
  }
}

TEST_CASE("write_file_atomically: a failure names the path and keeps the old file", "[io]") {
  const support::TemporaryFolder folder;
  const auto nowhere = folder.path() / "no folder" / "file";
  const auto complaint =
      support::complaint_of([&] { io::write_file_atomically(nowhere, some_bytes(3, 0)); });
  REQUIRE(complaint);
  CHECK(complaint->reason == Reason::cannot_write);
  CHECK_THAT(complaint->text, ContainsSubstring(nowhere.string()));

  // A folder in the place of the file: the rename fails, the temporary goes.
  const auto taken = folder.path() / "taken";
  std::filesystem::create_directories(taken / "inside");
  CHECK(support::fails_with(Reason::cannot_write,
                            [&] { io::write_file_atomically(taken, some_bytes(3, 0)); }));
  CHECK(std::filesystem::is_directory(taken / "inside"));
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("write_file_atomically: a full disk is an error", "[io]") {
  if (!std::filesystem::exists("/dev/full")) {
    std::printf("skipped: no /dev/full here\n");
    return;
  }
  const int descriptor = ::open("/dev/full", O_WRONLY);
  REQUIRE(descriptor >= 0);
  CHECK(support::fails_with(Reason::cannot_write, [&] {
    io::detail::write_all(io::system_files(), descriptor, "full", some_bytes(10, 0));
  }));
  ::close(descriptor);
}

TEST_CASE("write_file_atomically: whichever call fails, the old file or the new one is there",
          "[io]") {
  const auto before = some_bytes(100, 1), after = some_bytes(200, 2);
  const auto replace = [&](test::ModelDisk& disk, int at, int error) {
    test::FailingFiles files{disk};
    disk.put("file", before);
    files.fail(at, error, false);
    const auto said =
        support::complaint_of([&] { io::write_file_atomically("file", after, 0600, files); });
    CHECK((!said || said->reason == Reason::cannot_write));
    std::vector<std::string> names;
    disk.list(".", names);
    CHECK(names == std::vector<std::string>{"file"});
    const auto there = io::read_file_through(disk, "file", 1000);
    CHECK((there == before || there == after));
    CHECK((said || there == after));
    return std::pair{said.has_value(), files.calls()};
  };
  test::ModelDisk undisturbed;
  const int calls = replace(undisturbed, -1, 0).second;
  CHECK(calls > 8);
  int failures = 0;
  for (int at = 0; at < calls; ++at) {
    test::ModelDisk disk, interrupted;
    failures += replace(disk, at, EIO).first ? 1 : 0;
    CHECK_FALSE(replace(interrupted, at, EINTR).first);
  }
  CHECK(failures == calls - 1);  // that the folder is closed does not matter
}

TEST_CASE("write_file_atomically: a temporary file of the same name is left alone", "[io]") {
  /// Says so many times that the name is taken.
  struct Taken : test::ModelDisk {
    int left = 0;
    int open(const std::string& path, int flags, unsigned mode) override {
      if ((flags & O_EXCL) == 0 || left-- <= 0) return ModelDisk::open(path, flags, mode);
      errno = EEXIST;
      return -1;
    }
  } disk;
  disk.left = 99;
  CHECK_NOTHROW(io::write_file_atomically("file", some_bytes(3, 0), 0600, disk));
  disk.left = 100;
  CHECK(support::fails_with(Reason::cannot_write, [&] {
    io::write_file_atomically("file", some_bytes(3, 0), 0600, disk);
  }));
}

TEST_CASE("make_folders: makes what is missing", "[io]") {
  const support::TemporaryFolder folder;
  const auto deep = folder.path() / "a" / "b" / "c";
  io::make_folders(deep);
  io::make_folders(deep);
  CHECK(std::filesystem::is_directory(deep));
  folder.write("file", {});
  const auto below = folder.path() / "file" / "below";
  const auto said = support::complaint_of([&] { io::make_folders(below); });
  REQUIRE(said);
  CHECK(said->reason == Reason::cannot_write);
  CHECK_THAT(said->text, ContainsSubstring(below.string()));
}

TEST_CASE("sync_folder: a folder that cannot be synced is no error, one that fails is", "[io]") {
  test::ModelDisk disk;
  test::FailingFiles files{disk};
  for (const auto& [at, error, is_error] : {std::tuple{0, EACCES, false},
                                            {0, ENOENT, true},
                                            {1, EINVAL, false},
                                            {1, ENOTSUP, false},
                                            {1, EIO, true}}) {
    files.fail(at, error, false);
    CHECK(support::complaint_of([&] { io::sync_folder("", files); }).has_value() == is_error);
  }
}

TEST_CASE("read_file_through: bounded, and never waiting", "[io]") {
  const support::TemporaryFolder folder;
  io::FileLayer& files = io::system_files();
  const auto bytes = some_bytes(200000, 3);
  const std::string path = folder.write("file", bytes).string();
  CHECK(io::read_file_through(files, path, 200000) == bytes);
  const auto said = support::complaint_of([&] { io::read_file_through(files, path, 199999); });
  CHECK(said.value().reason == Reason::too_long);
  CHECK_THAT(said->text, ContainsSubstring("more than 199999 bytes"));
  CHECK(support::fails_with(Reason::too_long,
                            [&] { io::read_file_through(files, "/dev/zero", 1 << 20); }));
  CHECK(support::fails_with(Reason::cannot_open,
                            [&] { io::read_file_through(files, path + "2", 10); }));
  CHECK(support::fails_with(Reason::cannot_open,
                            [&] { io::read_file_through(files, folder.path().string(), 10); }));
  const std::string pipe = (folder.path() / "pipe").string();
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(io::read_file_through(files, pipe, 10).empty());
}
