// SPDX-License-Identifier: MIT
#include <stdexcept>

#include <splitvit/io/checkpoint_policy.hpp>

#include "support/catch.hpp"

using namespace splitvit;

namespace {

struct OnFridays {
  bool is_due(std::uint64_t step) const { return step % 5 == 0; }
};

}  // namespace

static_assert(!io::CheckpointPolicy<OnFridays>);

TEST_CASE("checkpoint policies: when one is due", "[io]") {
  CHECK_FALSE(io::Memory{}.is_due(100, 1e9));
  CHECK(io::EveryStep{}.is_due(1, 0.0));
  const io::EveryN policy{.steps = 10, .seconds = 60};
  CHECK_FALSE(policy.is_due(9, 59.9));
  CHECK(policy.is_due(10, 0.0));
  CHECK_FALSE(policy.is_due(11, 0.0));
  CHECK(policy.is_due(11, 60.0));
  CHECK(policy.is_due(20, 0.0));
  CHECK_THROWS_AS((io::EveryN{.steps = 0}.is_due(1, 0.0)), std::invalid_argument);
}
