// SPDX-License-Identifier: MIT
#include <algorithm>

#include <splitvit/compress/detail/points.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::compress::detail {

TEST_CASE("squared_distance: agrees with the plain one", "[compress]") {
  Rng rng{.seed = 31};
  for (const Index d : {1, 7, 8, 9, 31, 32, 33, 64, 197, 300}) {
    const Points x = points_of(test::drawn<double>({2, d}, rng).data(), 2, d, 1.0);
    const auto a = x.row(0), b = x.row(1);
    double plain = 0.0;
    for (std::size_t j = 0; j < a.size(); ++j) plain += (a[j] - b[j]) * (a[j] - b[j]);
    CHECK(squared_distance(a, b) == Approx(plain).epsilon(1e-14));
    // Whether it may stop early changes no decision.
    for (const double share : {0.1, 0.5, 1.0})
      CHECK(squared_distance(a, b, share * plain) >=
            std::min(share * plain, squared_distance(a, b)));
    CHECK(squared_distance(a, b, 2.0 * plain) == squared_distance(a, b));
  }
}

}  // namespace splitvit::compress::detail
