// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <splitvit/core/file.hpp>
#include <splitvit/io/file.hpp>

#include "support/catch.hpp"
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
