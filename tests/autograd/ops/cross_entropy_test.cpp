// SPDX-License-Identifier: MIT
#include <cmath>
#include <stdexcept>
#include <vector>

#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/tensor/reduce.hpp>

#include "autograd/probe.hpp"
#include "support/catch.hpp"

namespace splitvit {

using test::drawn;
using test::tensor;

TEMPLATE_TEST_CASE("cross_entropy: known values and gradients", "[autograd]", float, double) {
  using T = TestType;
  const auto log3 = static_cast<T>(std::log(3.0));
  const auto logits = Variable<T>::parameter(tensor<T>({2, 2}, {log3, 0, 0, 0}));
  const std::vector<Index> ids{0, 1};
  const auto loss = cross_entropy(logits, std::span<const Index>{ids});
  CHECK(loss.shape() == Shape{1});
  CHECK(loss.value()[0] == Approx((std::log(4.0 / 3) + std::log(2.0)) / 2));
  backward(loss);
  CHECK(test::apart(logits.gradient(), tensor<double>({2, 2}, {-0.125, 0.125, 0.25, -0.25})) <=
        8 * test::unit<T>);

  const auto soft = tensor<T>({2, 2}, {0.25, 0.75, 0.5, 0.5});
  CHECK(cross_entropy(logits, soft).value()[0] ==
        Approx((0.25 * std::log(4.0 / 3) + 0.75 * std::log(4.0) + std::log(2.0)) / 2));
}

TEMPLATE_TEST_CASE("target_rows: counts and weights as probabilities", "[autograd]", float,
                   double) {
  using T = TestType;
  CHECK(test::equal_bits(target_rows<T>(std::vector<Index>{2, 0}, 3),
                         tensor<T>({2, 3}, {0, 0, 1, 1, 0, 0})));
  const auto merged = Labels::from_lists({2, 3}, {0, 2, 1}, RecycledVector<Index>{2, 5, 4});
  CHECK(test::equal_bits(target_rows<T>(merged, 3),
                         tensor<T>({2, 3}, {T{2} / T{7}, 0, T{5} / T{7}, 0, 1, 0})));
  const auto soft = Labels::weighted({{{1, 0.7f}, {0, 0.3f}}, {{2, 1.0f}}});
  CHECK(
      test::equal_bits(target_rows<T>(soft, 3), tensor<T>({2, 3}, {T{0.3f}, T{0.7f}, 0, 0, 0, 1})));
  CHECK(target_rows<T>(Labels{}, 3).shape() == Shape{0, 3});
}

TEMPLATE_TEST_CASE("cross_entropy: ids and one-hot targets give the same", "[autograd]", float,
                   double) {
  using T = TestType;
  Rng rng{.seed = 8};
  const std::vector<Index> ids{4, 0, 2};
  const auto targets = target_rows<T>(ids, 5);
  CHECK(
      test::equal_bits(targets, tensor<T>({3, 5}, {0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0})));
  const Variable<T> logits{drawn<T>({3, 5}, rng)};
  CHECK(test::equal_bits(cross_entropy(logits, std::span<const Index>{ids}).value(),
                         cross_entropy(logits, targets).value()));
}

TEST_CASE("cross_entropy: gradient agrees with finite differences", "[autograd]") {
  Rng rng{.seed = 9};
  for (const Index C : {1, 2, 7, 33}) {
    Tensor<double> targets{{3, C}};
    for (Index b = 0; b < 3; ++b)
      for (Index c = 0; c < C; ++c)
        targets[b * C + c] = rng.uniform() / static_cast<double>(C);  // need not sum to 1
    CHECK(gradcheck([&](const auto& v) { return square(cross_entropy(v, targets)); },
                    drawn<double>({3, C}, rng)));
    const std::vector<Index> ids{C - 1, 0, C / 2};
    CHECK(gradcheck(
        [&](const auto& v) { return square(cross_entropy(v, std::span<const Index>{ids})); },
        drawn<double>({3, C}, rng)));
  }
}

TEMPLATE_TEST_CASE("cross_entropy: finite for large logits, and exact", "[autograd]", float,
                   double) {
  using T = TestType;
  const auto logits = Variable<T>::parameter(tensor<T>({2, 3}, {1e4, -1e4, 0, -1e4, -1e4, -1e4}));
  const std::vector<Index> ids{1, 0};
  const auto loss = cross_entropy(logits, std::span<const Index>{ids});
  CHECK(loss.value()[0] == Approx((2e4 + std::log(3.0)) / 2).epsilon(1e-6));
  backward(loss);
  CHECK(all_finite<T>(logits.gradient().view()));
  CHECK(logits.gradient()[0] == Approx(0.5));
  CHECK(logits.gradient()[1] == Approx(-0.5));
}

TEST_CASE("cross_entropy: misuse", "[autograd]") {
  const Variable<float> logits{Tensor<float>{{2, 3}}};
  const auto with = [&](const Shape& shape) {
    return test::text_of<ShapeError>([&] { cross_entropy(logits, Tensor<float>{shape}); });
  };
  CHECK(with({3, 2}) == "cross_entropy: logits (2, 3), targets (3, 2): wanted (B, C) twice");
  CHECK(with({2}) == "cross_entropy: logits (2, 3), targets (2): wanted (B, C) twice");
  CHECK_THROWS_AS(cross_entropy(Variable<float>{Tensor<float>{{0, 3}}}, Tensor<float>{{0, 3}}),
                  ShapeError);
  CHECK_THROWS_AS(cross_entropy(Variable<float>{Tensor<float>{{3, 0}}}, Tensor<float>{{3, 0}}),
                  ShapeError);
  CHECK_THROWS_AS(cross_entropy(Variable<float>{Tensor<float>{{3}}}, Tensor<float>{{3}}),
                  ShapeError);
  const auto of = [&](std::vector<Index> ids) {
    return [&logits, ids = std::move(ids)] { cross_entropy(logits, std::span<const Index>{ids}); };
  };
  CHECK(test::text_of<std::invalid_argument>(of({0, 3})) ==
        "target_rows: row 1 of the labels has class 3, wanted less than 3");
  CHECK(test::text_of<std::invalid_argument>(of({-1, 0})) ==
        "Labels: row 0 has class -1, wanted 0 or more");
  CHECK_THAT(test::text_of<ShapeError>(of({0, 1, 2})), ContainsSubstring("targets (3, 3)"));
}

}  // namespace splitvit
