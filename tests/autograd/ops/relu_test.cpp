// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>

#include <splitvit/autograd/ops/activation.hpp>

#include "autograd/probe.hpp"
#include "support/catch.hpp"

namespace splitvit {

using test::tensor;

TEMPLATE_TEST_CASE("relu: known values and gradients", "[autograd]", float, double) {
  using T = TestType;
  const auto x = Variable<T>::parameter(tensor<T>({2, 2}, {-3, 0, 2, 1e30f}));
  const auto y = relu(x);
  CHECK(test::equal_bits(y.value(), tensor<T>({2, 2}, {0, 0, 2, 1e30f})));
  backward(y, tensor<T>({2, 2}, {1, 2, 3, 4}));
  CHECK(test::equal_bits(x.gradient(), tensor<T>({2, 2}, {0, 0, 3, 4})));
}

TEST_CASE("relu: gradient agrees with finite differences", "[autograd]") {
  CHECK(gradcheck([](const auto& v) { return test::probe(relu(v)); },
                  tensor<double>({2, 3}, {-1, 2, 0.5, -0.1, 0.1, 3})));
}

TEST_CASE("relu: does not hide NaN", "[autograd]") {
  const auto x =
      Variable<float>::parameter(tensor<float>({1}, {std::numeric_limits<float>::quiet_NaN()}));
  CHECK(std::isnan(relu(x).value()[0]));
}

}  // namespace splitvit
