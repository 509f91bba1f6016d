// SPDX-License-Identifier: MIT
#include <array>
#include <cstddef>
#include <stdexcept>
#include <vector>

#include <splitvit/core/error.hpp>
#include <splitvit/split/detail/driven_link.hpp>

#include "support/catch.hpp"

using namespace splitvit;
using split::detail::DrivenLink;

TEST_CASE("driven link: bytes wait until they are read, and a read lets the peer go on",
          "[split]") {
  auto ends = DrivenLink::pair();
  auto& near = ends.first;
  auto& far = ends.second;
  const std::array sent{std::byte{1}, std::byte{2}, std::byte{3}};
  CHECK(near.write_some(sent) == 3);
  std::array<std::byte, 2> got{};
  CHECK(far.read_some(got) == 2);
  CHECK(got == std::array{std::byte{1}, std::byte{2}});
  CHECK(far.read_some(got) == 1);
  CHECK(got[0] == std::byte{3});

  int driven = 0;
  near.drive_by([&] {
    ++driven;
    if (driven > 1) far.write_some(sent);
  });
  CHECK_THROWS_AS(near.read_some(got), std::logic_error);
  CHECK(near.read_some(got) == 2);
  CHECK(near.read_some(got) == 1);
  CHECK(driven == 2);
  CHECK_THROWS_AS(far.read_some(got), std::logic_error);
}

TEST_CASE("driven link: what was written before the end can still be read", "[split]") {
  auto ends = DrivenLink::pair();
  const std::array sent{std::byte{1}};
  std::array<std::byte, 2> got{};
  {
    const DrivenLink far = [&] {
      DrivenLink end = std::move(ends.second);
      end.write_some(sent);
      return end;
    }();
  }
  CHECK(ends.first.read_some(got) == 1);
  CHECK(ends.first.read_some(got) == 0);
  CHECK_THROWS_AS(ends.first.write_some(sent), TransportError);
}
