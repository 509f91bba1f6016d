// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>

#include <splitvit/core/file.hpp>

#include "support/catch.hpp"
#include "support/storage_error.hpp"
#include "support/temporary_folder.hpp"

using splitvit::read_file;
using splitvit::Reason;
using support::complaint_of;

TEST_CASE("read_file: all bytes, zeros and line ends too", "[core]") {
  const support::TemporaryFolder folder;
  const std::array<std::byte, 5> bytes{std::byte{0}, std::byte{13}, std::byte{10}, std::byte{26},
                                       std::byte{255}};
  const auto path = folder.write("some", bytes);
  CHECK(std::ranges::equal(read_file(path, 5), bytes));
  CHECK(read_file(folder.write("none", {}), 0).empty());
}

TEST_CASE("read_file: says which file and why", "[core]") {
  const support::TemporaryFolder folder;
  const auto missing = complaint_of([&] { read_file(folder.path() / "missing", 10); });
  REQUIRE(missing);
  CHECK(missing->reason == Reason::cannot_open);
  CHECK_THAT(missing->text, ContainsSubstring("missing"));

  CHECK(support::fails_with(Reason::cannot_open, [&] { read_file(folder.path(), 10); }));
  CHECK(support::fails_with(Reason::cannot_open, [] { read_file("/dev/zero", 10); }));

  const auto path = folder.write("long", std::array<std::byte, 6>{});
  const auto large = complaint_of([&] { read_file(path, 5); });
  REQUIRE(large);
  CHECK(large->reason == Reason::too_long);
  CHECK_THAT(large->text, ContainsSubstring("6 bytes, at most 5"));
}
