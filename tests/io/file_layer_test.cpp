// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <vector>

#include <fcntl.h>

#include <splitvit/io/file_layer.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace splitvit;

TEST_CASE("SystemFiles: each call does what the function of its name does", "[io]") {
  const support::TemporaryFolder outer;
  io::FileLayer& files = io::system_files();
  const std::string folder = (outer.path() / "folder").string();
  const std::string from = folder + "/from", to = folder + "/to";
  CHECK(files.mkdir(folder) == 0);
  const int file = files.open(from, O_RDWR | O_CREAT | O_EXCL, 0600);
  REQUIRE(file >= 0);
  CHECK((::fcntl(file, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(files.write(file, test::bytes_of("some")) == 4);
  CHECK(files.fsync(file) == 0);
  CHECK(files.flock(file) == 0);
  CHECK(files.rename(from, to) == 0);
  const int again = files.open(to, O_RDONLY, 0);
  std::array<std::byte, 8> bytes{};
  CHECK(files.read(again, bytes) == 4);
  CHECK(bytes[3] == std::byte{'e'});
  CHECK(files.flock(again) == -1);
  CHECK(errno == EWOULDBLOCK);
  CHECK(files.close(file) == 0);
  CHECK(files.flock(again) == 0);
  CHECK(files.close(again) == 0);
  CHECK(files.mkdir(folder + "/below") == 0);
  std::vector<std::string> names;
  CHECK(files.list(folder, names) == 0);
  std::ranges::sort(names);
  CHECK(names == std::vector<std::string>{"below", "to"});
  CHECK(files.unlink(to) == 0);
}

TEST_CASE("SystemFiles: a call that fails says why in errno", "[io]") {
  const support::TemporaryFolder folder;
  const std::string none = (folder.path() / "none").string();
  io::FileLayer& files = io::system_files();
  const auto fails_with = [](auto result, int error) { return result == -1 && errno == error; };
  std::vector<std::string> names;
  std::array<std::byte, 1> byte{};
  CHECK(fails_with(files.open(none, O_RDONLY, 0), ENOENT));
  CHECK(fails_with(files.read(-1, byte), EBADF));
  CHECK(fails_with(files.write(-1, byte), EBADF));
  CHECK(fails_with(files.fsync(-1), EBADF));
  CHECK(fails_with(files.close(-1), EBADF));
  CHECK(fails_with(files.flock(-1), EBADF));
  CHECK(fails_with(files.rename(none, none + "2"), ENOENT));
  CHECK(fails_with(files.unlink(none), ENOENT));
  CHECK(fails_with(files.mkdir(none + "/below"), ENOENT));
  CHECK(fails_with(files.mkdir(folder.path().string()), EEXIST));
  CHECK(fails_with(files.list(none, names), ENOENT));
  CHECK(names.empty());
}
