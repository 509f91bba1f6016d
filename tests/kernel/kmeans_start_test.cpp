// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <vector>

#include <splitvit/kernel/kmeans_start.hpp>
#include <splitvit/tensor/tensor.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {

TEST_CASE("kmeans_start: a random start takes each row equally often", "[kernel]") {
  Rng rng{.seed = 29};
  const auto x = test::tensor<float>({4, 1}, {3, 1, 4, 2});
  std::vector<int> taken(4);
  for (int run = 0; run < 4000; ++run)
    ++taken[test::at(random_rows(dense(x.data(), 4, 1), 1, rng)[0])];
  for (const int count : taken) CHECK(std::abs(count - 1000) < 150);
}

TEST_CASE("kmeans_start: equal rows are taken once", "[kernel]") {
  Rng rng{.seed = 5};
  Tensor<float> x{{60, 2}};  // four distinct rows; -0 equals 0
  for (Index i = 0; i < 60; ++i) {
    x[2 * i] = i % 2 == 0 ? 0.0f : 7.0f;
    x[2 * i + 1] = i % 4 < 2 ? (i % 3 == 0 ? -0.0f : 0.0f) : 2.0f;
  }
  const auto rows = dense<const float>(x.data(), 60, 2);
  const SubVectors<float> vectors{rows, 1.0f};
  for (const Index wanted : {2, 4, 10})
    for (auto taken :
         {random_rows(rows, wanted, rng), plus_plus_rows(rows, vectors, wanted, rng)}) {
      CHECK(static_cast<Index>(taken.size()) == std::min<Index>(4, wanted));
      for (Index& row : taken) row %= 4;
      std::ranges::sort(taken);
      CHECK(std::ranges::adjacent_find(taken) == taken.end());
    }
  const auto first = distinct_rows(rows, 3, [](Index i) { return 59 - i; });
  CHECK(first == std::vector<Index>{59, 58, 57});
}

TEST_CASE("kmeans_start: plus_plus takes rows that are far apart", "[kernel]") {
  Rng rng{.seed = 6};
  const auto x = test::tensor<double>({5, 1}, {0, 1e-9, 2e-9, 1000, 1000.0000001});
  const auto rows = dense(x.data(), 5, 1);
  const SubVectors<double> vectors{rows, 1.0};
  for (int run = 0; run < 50; ++run) {
    const auto taken = plus_plus_rows(rows, vectors, 2, rng);
    CHECK((taken[0] < 3) != (taken[1] < 3));
  }
}

}  // namespace splitvit::kernel
