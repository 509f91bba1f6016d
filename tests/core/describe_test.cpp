// SPDX-License-Identifier: MIT
#include <splitvit/core/describe.hpp>

#include "support/catch.hpp"

using namespace splitvit;

namespace {
struct Plain {};
struct Named {
  std::string description() const { return "named n=3"; }
};
static_assert(Described<Named>);
static_assert(!Described<Plain>);
}  // namespace

TEST_CASE("describe: what a method says, or custom", "[core]") {
  CHECK(describe(Named{}) == "named n=3");
  CHECK(describe(Plain{}) == "custom");
}
