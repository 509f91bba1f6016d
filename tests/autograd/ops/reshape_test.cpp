// SPDX-License-Identifier: MIT
#include <splitvit/autograd/ops/reshape.hpp>

#include "autograd/probe.hpp"
#include "support/catch.hpp"

namespace splitvit {

using test::tensor;

TEMPLATE_TEST_CASE("reshape: keeps the numbers, both ways", "[autograd]", float, double) {
  using T = TestType;
  const auto x = Variable<T>::parameter(tensor<T>({2, 3}, {1, 2, 3, 4, 5, 6}));
  const auto y = reshape(x, {3, 1, 2});
  CHECK(test::equal_bits(y.value(), tensor<T>({3, 1, 2}, {1, 2, 3, 4, 5, 6})));
  backward(y, tensor<T>({3, 1, 2}, {10, 20, 30, 40, 50, 60}));
  CHECK(test::equal_bits(x.gradient(), tensor<T>({2, 3}, {10, 20, 30, 40, 50, 60})));
}

TEST_CASE("reshape: gradient agrees with finite differences", "[autograd]") {
  Rng rng{.seed = 17};
  CHECK(gradcheck([](const auto& v) { return test::probe(reshape(v, {6})); },
                  test::drawn<double>({2, 3}, rng)));
}

TEST_CASE("reshape: misuse", "[autograd]") {
  const Variable<float> x{Tensor<float>{{2, 3}}};
  CHECK(test::text_of<ShapeError>([&] { reshape(x, {5}); }) ==
        "reshaped: (2, 3) has 6 elements, (5) has 5");
}

}  // namespace splitvit
