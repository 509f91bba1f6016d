// SPDX-License-Identifier: MIT
#include <numeric>

#include <splitvit/kernel/resample.hpp>

#include "support/catch.hpp"

using namespace splitvit;

TEST_CASE("resample: weights of a place sum to 1, whatever the sizes", "[kernel]") {
  for (const Index from : {1, 2, 3, 7, 14, 32})
    for (const Index to : {1, 2, 5, 14, 31, 64}) {
      const kernel::Resample axis{from, to};
      REQUIRE(axis.first.size() == static_cast<std::size_t>(to));
      for (Index place = 0; place < to; ++place) {
        const auto at = static_cast<std::size_t>(place);
        const double* weight = axis.weights.data() + place * axis.taps;
        CHECK(std::accumulate(weight, weight + axis.count[at], 0.0) == Approx(1));
        CHECK(axis.first[at] >= 0);
        CHECK(axis.first[at] + axis.count[at] <= from);
        CHECK(axis.count[at] <= axis.taps);
      }
    }
}

TEST_CASE("resample: the same size is a copy", "[kernel]") {
  const kernel::Resample axis{5, 5};
  for (Index place = 0; place < 5; ++place) {
    const auto at = static_cast<std::size_t>(place);
    for (Index k = 0; k < axis.count[at]; ++k)
      CHECK(axis.weights[static_cast<std::size_t>(place * axis.taps + k)] ==
            Approx(axis.first[at] + k == place ? 1 : 0).margin(1e-12));
  }
}

TEST_CASE("resample: twice as many places have Keys' weights", "[kernel]") {
  const kernel::Resample axis{8, 16};
  // Place 6 lies a quarter before the centre of source 3: distances 1.75, 0.75, 0.25, 1.25.
  const double* weight = axis.weights.data() + 6 * axis.taps;
  CHECK(axis.first[6] == 1);
  CHECK(weight[0] == Approx(-0.0234375));
  CHECK(weight[1] == Approx(0.2265625));
  CHECK(weight[2] == Approx(0.8671875));
  CHECK(weight[3] == Approx(-0.0703125));
}
