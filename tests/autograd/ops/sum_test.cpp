// SPDX-License-Identifier: MIT
#include <splitvit/autograd/ops/sum.hpp>

#include "autograd/probe.hpp"
#include "support/catch.hpp"

namespace splitvit {

using test::tensor;

TEMPLATE_TEST_CASE("sum and mean: known values and gradients", "[autograd]", float, double) {
  using T = TestType;
  const auto x = Variable<T>::parameter(tensor<T>({2, 2}, {1, 2, 3, -8}));
  const auto total = sum(x);
  CHECK(test::equal_bits(total.value(), tensor<T>({1}, {-2})));
  CHECK(test::equal_bits(mean(x).value(), tensor<T>({1}, {-0.5})));
  backward(total, tensor<T>({1}, {3}));
  CHECK(test::equal_bits(x.gradient(), tensor<T>({2, 2}, {3, 3, 3, 3})));
  backward(mean(x));
  CHECK(test::equal_bits(x.gradient(), tensor<T>({2, 2}, {3.25, 3.25, 3.25, 3.25})));
}

TEST_CASE("sum and mean: gradients agree with finite differences", "[autograd]") {
  Rng rng{.seed = 20};
  const auto x = test::drawn<double>({2, 3}, rng);
  CHECK(gradcheck([](const auto& v) { return square(sum(v)); }, x));
  CHECK(gradcheck([](const auto& v) { return square(mean(mul(v, v))); }, x));
}

TEST_CASE("sum and mean: of nothing", "[autograd]") {
  const auto none = Variable<float>::parameter(Tensor<float>{{2, 0}});
  CHECK(sum(none).value()[0] == 0);
  CHECK(test::text_of<ShapeError>([&] { mean(none); }) == "mean: x (2, 0) has no elements");
}

}  // namespace splitvit
