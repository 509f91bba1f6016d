// SPDX-License-Identifier: MIT
#include <vector>

#include <splitvit/leakage/label_inference.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::leakage {

using test::drawn;
using test::tensor;

TEST_CASE("label inference: norms and directions, by hand", "[leakage]") {
  const auto rows = tensor<double>({3, 2}, {3, 4, 0, 6, -3, -4});
  const std::vector<Index> labels{1, 0, 1};
  // Pairs (1, 0), (2, 0), (2, 1); norms 5, 6, 5.
  const auto by_norm = guess_by_norm(rows, labels), by_cosine = guess_by_cosine(rows, labels);
  const double norms[] = {-1, 0, -1}, cosines[] = {0.8, -1, -0.8};
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(by_norm[i].score == Approx(norms[i]).margin(1e-12));
    CHECK(by_cosine[i].score == Approx(cosines[i]));
    CHECK(by_norm[i].is_true == (i == 1));
  }
  CHECK(area_under_curve(by_norm) == 1);
  CHECK(area_under_curve(by_cosine) == 0);
  CHECK(guess_by_cosine(Tensor<double>{{2, 3}}, std::vector<Index>{0, 1})[0].score == 0);
}

TEST_CASE("label inference: clusters of like features, against guessing", "[leakage]") {
  Rng rng{.seed = 1};
  Tensor<float> features{{60, 4}};
  std::vector<Index> labels, others;
  for (Index i = 0; i < 60; ++i) {
    labels.push_back(i % 3);
    others.push_back(rng.below(3));
    for (Index j = 0; j < 4; ++j)
      features[4 * i + j] =
          static_cast<float>(10.0 * static_cast<double>(i % 3 == j) + 0.1 * rng.normal());
  }
  const auto told = guess_by_clusters(features, labels, 3, rng);
  CHECK(told.accuracy == 1);
  CHECK(told.guessing > 1.0 / 3);
  CHECK(told.guessing < 0.6);
  const auto untold = guess_by_clusters(features, others, 3, rng);
  CHECK(std::abs(untold.accuracy - untold.guessing) < 0.1);
  // All labels equal: nothing but guessing.
  const auto equal = guess_by_clusters(features, std::vector<Index>(60, 2), 3, rng);
  CHECK(equal.accuracy == 1);
  CHECK(equal.guessing == Approx(1));
}

TEST_CASE("label inference: a label for each sample, or it is refused", "[leakage]") {
  Rng rng{.seed = 2};
  const auto rows = drawn<float>({4, 3}, rng);
  const std::vector<Index> few{1, 2, 3};
  CHECK_THROWS_AS(guess_by_norm(rows, few), ShapeError);
  CHECK_THROWS_AS(guess_by_cosine(rows, few), ShapeError);
  CHECK_THROWS_WITH(guess_by_clusters(rows, few, 2, rng), ContainsSubstring("3 labels for (4, 3)"));
}

}  // namespace splitvit::leakage
