// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <vector>

#include <splitvit/core/random.hpp>
#include <splitvit/kernel/largest.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {

TEST_CASE("largest entries: how many", "[kernel]") {
  CHECK(kept_entries(0.05, 50) == 2);  // 2.5: half to even
  CHECK(kept_entries(0.07, 50) == 4);  // 3.5
  CHECK(kept_entries(0.001, 50) == 1);
  CHECK(kept_entries(1.0, 50) == 50);
}

TEMPLATE_TEST_CASE("largest entries: as sorting finds them", "[kernel]", float, double) {
  using T = TestType;
  Rng rng{.seed = 1};
  for (int run = 0; run < 300; ++run) {
    auto values = test::drawn_vector<T>(1 + rng.below(run % 10 == 0 ? 5000 : 60), rng);
    if (run % 3 == 0)  // many ties, zeros of both signs, very large and small ones
      for (T& value : values)
        value = static_cast<T>(std::ldexp(static_cast<double>(rng.below(5) - 2),
                                          static_cast<int>(rng.below(3) - 1) * 120));
    const auto k = static_cast<std::size_t>(1 + rng.below(static_cast<Index>(values.size())));
    std::vector<std::uint32_t> kept(k);
    largest_entries<T>(values, kept);
    REQUIRE(kept == test::largest_by_sorting<T>(values, k));
  }
}

}  // namespace splitvit::kernel
