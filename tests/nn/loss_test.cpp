// SPDX-License-Identifier: MIT
#include <algorithm>
#include <vector>

#include <splitvit/nn/loss.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::nn {

using test::tensor;

TEMPLATE_TEST_CASE("count_correct: the largest wins, and of equals the lowest class", "[nn]", float,
                   double) {
  using T = TestType;
  const auto rows = tensor<T>({4, 3}, {1, 3, 2, -5, -7, -5, 0, 0, 0, -3, -2, -1});
  CHECK(count_correct(rows, std::vector<Index>{1, 0, 0, 2}) == 4);
  CHECK(count_correct(rows, std::vector<Index>{2, 2, 1, 0}) == 0);
  CHECK_THROWS_AS(count_correct(Tensor<T>{{2, 0}}, std::vector<Index>{0, 0}), ShapeError);
  CHECK_THROWS_AS(count_correct(Tensor<T>{{3}}, std::vector<Index>{0, 0, 0}), ShapeError);
}

TEMPLATE_TEST_CASE("apply_sample_weights: a mean over rows becomes one over what they stand for",
                   "[nn]", float, double) {
  using T = TestType;
  auto targets = tensor<T>({3, 2}, {1, 0, 0.5, 0.5, 0, 1});
  const std::vector<Index> sizes{1, 2, 3};
  apply_sample_weights(targets, std::span<const Index>{sizes});
  const std::vector<T> expected{T(0.5), 0, T(0.5), T(0.5), 0, T(1.5)};
  CHECK(std::ranges::equal(targets.span(), expected));
  apply_sample_weights(targets, {});
  CHECK(std::ranges::equal(targets.span(), expected));
  CHECK_THROWS_AS(apply_sample_weights(targets, std::span{sizes}.first(2)), ShapeError);
}

TEMPLATE_TEST_CASE("count_correct: counts rows whose argmax class is right", "[nn]", float,
                   double) {
  using T = TestType;
  const auto logits = tensor<T>({3, 2}, {1, 2, 2, 1, 5, 5});
  const auto count = [&](const std::vector<Index>& ids) { return count_correct(logits, ids); };
  CHECK(count({1, 0, 0}) == 3);
  CHECK(count({1, 1, 1}) == 1);
  CHECK(count({0, 1, 1}) == 0);
  CHECK(test::text_of<ShapeError>([&] { count({0, 1}); }) ==
        "correct_rows: logits (3, 2) for labels of 2 rows");
  CHECK(count_correct(Tensor<T>{{0, 2}}, Labels{}) == 0);
  // the right class of a soft label is its most probable one, the lowest of several
  CHECK(count_correct(logits, Labels::weighted({{{0, 0.4f}, {1, 0.6f}},
                                                {{0, 0.4f}, {1, 0.6f}},
                                                {{0, 0.5f}, {1, 0.5f}}})) == 2);
}

}  // namespace splitvit::nn
