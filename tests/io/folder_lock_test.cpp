// SPDX-License-Identifier: MIT
#include <chrono>
#include <csignal>
#include <cstddef>
#include <string>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include <splitvit/io/folder_lock.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/file_layers.hpp"
#include "support/storage_error.hpp"
#include "support/temporary_folder.hpp"

using namespace splitvit;
using namespace std::chrono_literals;

TEST_CASE("FolderLock: a second one waits, then names the holder", "[io]") {
  const support::TemporaryFolder folder;
  const auto take = [&](std::chrono::milliseconds patience) {
    return support::complaint_of([&] { io::FolderLock{folder.path(), patience}; });
  };
  {
    const io::FolderLock lock{folder.path()};
    const auto begin = std::chrono::steady_clock::now();
    const auto said = take(60ms);
    CHECK(std::chrono::steady_clock::now() - begin >= 60ms);
    REQUIRE(said);
    CHECK(said->reason == Reason::in_use);
    CHECK_THAT(said->text,
               ContainsSubstring((folder.path() / "lock").string() + ": in use by process " +
                                 std::to_string(::getpid()) + " on "));
  }
  CHECK_FALSE(take(0ms));
}

TEST_CASE("FolderLock: it is taken when the holder releases it", "[io]") {
  const support::TemporaryFolder folder;
  auto lock = std::make_unique<io::FolderLock>(folder.path());
  std::jthread releases{[&] {
    std::this_thread::sleep_for(100ms);
    lock.reset();
  }};
  CHECK_NOTHROW(io::FolderLock{folder.path(), 10s});
}

TEST_CASE("FolderLock: a process that is killed holds nothing", "[io]") {
  const support::TemporaryFolder folder;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const ::pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    try {
      const io::FolderLock lock{folder.path()};
      if (::write(ready[1], "x", 1) == 1)
        while (true) ::pause();
    } catch (...) {
    }
    ::_exit(1);
  }
  ::close(ready[1]);
  char byte = 0;
  CHECK(::read(ready[0], &byte, 1) == 1);
  ::close(ready[0]);
  const auto said = support::complaint_of([&] { io::FolderLock{folder.path(), 0ms}; });
  ::kill(child, SIGKILL);
  int status = 0;
  CHECK(::waitpid(child, &status, 0) == child);
  REQUIRE(said);
  CHECK(said->reason == Reason::in_use);
  CHECK_THAT(said->text, ContainsSubstring("process " + std::to_string(child) + " on "));
  CHECK_NOTHROW(io::FolderLock{folder.path(), 0ms});
}

TEST_CASE("FolderLock: what the file says cannot control a terminal", "[io]") {
  test::ModelDisk disk;
  disk.mkdir("folder");
  disk.put("folder/lock", test::bytes_of("\x1b[2Jprocess\n 5   "));
  const int file = disk.open("folder/lock", 0, 0);
  disk.flock(file);
  const auto text = [&] {
    return support::complaint_of([&] { io::FolderLock{"folder", 0ms, disk}; })->text;
  };
  CHECK(text() == "folder/lock: in use by [2Jprocess 5");
  disk.put("folder/lock", {});
  CHECK(text() == "folder/lock: in use by another process");
}

TEST_CASE("FolderLock: a folder that is missing, a file, or read-only", "[io]") {
  const support::TemporaryFolder folder;
  folder.write("file", {});
  for (const char* name : {"none", "file"}) {
    const auto said = support::complaint_of([&] { io::FolderLock{folder.path() / name, 0ms}; });
    REQUIRE(said);
    CHECK(said->reason == Reason::cannot_write);
    CHECK_THAT(said->text, ContainsSubstring((folder.path() / name / "lock").string()));
  }
  test::FailingFiles files{io::system_files()};
  files.fail(0, EROFS, false);
  CHECK_THAT(support::complaint_of([&] { io::FolderLock{folder.path(), 0ms, files}; })->text,
             ContainsSubstring("Read-only file system"));
  files.fail(1, ENOLCK, false);  // flock
  CHECK(support::fails_with(Reason::cannot_write,
                            [&] { io::FolderLock{folder.path(), 0ms, files}; }));
  files.fail(2, ENOSPC, false);  // the text, which is for people only
  CHECK_NOTHROW(io::FolderLock{folder.path(), 0ms, files});
}
