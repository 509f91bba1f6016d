// SPDX-License-Identifier: MIT
#include <splitvit/autograd/ops/activation.hpp>
#include <splitvit/tensor/reduce.hpp>

#include "autograd/probe.hpp"
#include "support/catch.hpp"

namespace splitvit {

TEMPLATE_TEST_CASE("gelu: known values", "[autograd]", float, double) {
  using T = TestType;
  // x Phi(x), with Phi from a table of the normal distribution
  const Variable<T> x{test::tensor<T>({5}, {-2, -1, 0, 1, 2})};
  const auto wanted = test::tensor<double>(
      {5}, {-0.045500263896358, -0.158655253931457, 0, 0.841344746068543, 1.954499736103642});
  CHECK(test::apart(gelu(x).value(), wanted) <= 64 * test::unit<T>);
}

TEST_CASE("gelu: gradient agrees with finite differences", "[autograd]") {
  Rng rng{.seed = 10};
  CHECK(gradcheck([](const auto& v) { return test::probe(gelu(v)); },
                  scale(test::drawn<double>({3, 7}, rng), 2.0)));
}

TEMPLATE_TEST_CASE("gelu: finite everywhere", "[autograd]", float, double) {
  using T = TestType;
  const auto x = Variable<T>::parameter(test::tensor<T>({6}, {-1e8, -1e4, -30, 30, 1e4, 1e8}));
  const auto y = gelu(x);
  backward(sum(y));
  CHECK(all_finite<T>(y.value().view()));
  CHECK(test::apart(x.gradient(), test::tensor<double>({6}, {0, 0, 0, 1, 1, 1})) <=
        4 * test::unit<T>);
}

TEST_CASE("gelu: of nothing", "[autograd]") {
  CHECK(gelu(Variable<float>{Tensor<float>{{0, 4}}}).shape() == Shape{0, 4});
}

}  // namespace splitvit
