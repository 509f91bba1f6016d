// SPDX-License-Identifier: MIT
#include <algorithm>
#include <numeric>
#include <vector>

#include <splitvit/codec/detail/planes.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::codec::detail {

using test::at;

TEMPLATE_TEST_CASE("Planes: number j of every piece, divided by the unit", "[codec]", float,
                   double) {
  using T = TestType;
  for (const Index m : {1, 300, 70'000})  // the last ones are sorted, but for those of 6 numbers
    for (const Index d : {1, 2, 4, 6}) {
      CAPTURE(m, d);
      Rng rng{.seed = 4};
      const auto x = test::drawn<T>({m, d}, rng);
      const Planes<T> planes{x.view(), T{4}};
      CHECK(planes.sorted() == (m > 300 && d <= 4));
      CHECK(planes.blocks() == (m + planes.block - 1) / planes.block);
      for (Index j = 0; j < d; ++j) {
        std::vector<T> own(planes.plane(j), planes.plane(j) + m);
        own = planes.by_piece(std::move(own));
        Index wrong = 0;
        for (Index i = 0; i < m; ++i) wrong += own[at(i)] == x[i * d + j] / 4 ? 0 : 1;
        CHECK(wrong == 0);
        CHECK(std::all_of(planes.plane(j) + m, planes.plane(j) + planes.stride,
                          [](T pad) { return pad == 0; }));
      }
    }
}

TEST_CASE("Planes: the box around a block, its sum, and whether sums of it are exact", "[codec]") {
  Rng rng{.seed = 5};
  const Index m = 20'001;  // 78 whole blocks and one of 33 pieces
  auto x = test::drawn<float>({m, 2}, rng);
  for (Index i = 0; i < m; ++i) x[2 * i + 1] = rng.below(9) == 0 ? 1e8f : 1e-8f;
  const Planes<float> planes{x.view(), 1.0f};
  REQUIRE(planes.sorted());
  int rounded = 0;
  for (Index b = 0; b < planes.blocks(); ++b)
    for (const Index j : {0, 1}) {
      const float* const begin = planes.plane(j) + b * planes.block;
      const float* const end = begin + planes.filled(b);
      const auto& box = planes.summary(b, j);
      CHECK(box.least == *std::min_element(begin, end));
      CHECK(box.largest == *std::max_element(begin, end));
      CHECK(box.sum == Approx(std::accumulate(begin, end, 0.0)).epsilon(1e-12).margin(1e-12));
      const bool is_mixed = j == 1 && box.least != box.largest;
      if (is_mixed) CHECK_FALSE(box.exact);
      if (j == 1 && !is_mixed) CHECK(box.exact);
      rounded += is_mixed ? 1 : 0;
    }
  CHECK(rounded > 0);
}

}  // namespace splitvit::codec::detail
