// SPDX-License-Identifier: MIT
#include <cmath>

#include <splitvit/autograd/ops/softmax.hpp>
#include <splitvit/tensor/reduce.hpp>

#include "autograd/probe.hpp"
#include "support/catch.hpp"

namespace splitvit {

using test::drawn;
using test::tensor;

TEMPLATE_TEST_CASE("softmax: known values", "[autograd]", float, double) {
  using T = TestType;
  const auto log = [](double v) { return static_cast<T>(std::log(v)); };
  const Variable<T> x{tensor<T>({2, 3}, {log(1), log(2), log(5), 7, 7, 7})};
  CHECK(test::apart(softmax(x).value(),
                    tensor<double>({2, 3}, {0.125, 0.25, 0.625, 1.0 / 3, 1.0 / 3, 1.0 / 3})) <=
        4 * test::unit<T>);
}

TEMPLATE_TEST_CASE("softmax: rows sum to 1 and do not see a constant", "[autograd]", float,
                   double) {
  using T = TestType;
  Rng rng{.seed = 18};
  for (const Index n : {1, 2, 17, 197}) {
    const auto x = drawn<T>({70, n}, rng);
    Tensor<T> moved = x;
    for (T& v : moved.span()) v += T{8};
    const auto y = softmax(Variable<T>{x}).value();
    CHECK(test::apart(softmax(Variable<T>{moved}).value(), y) <= 32 * test::unit<T>);
    for (Index i = 0; i < 70; ++i)
      CHECK(sum_all<T>(y.view().slice(i, i + 1)) == Approx(1.0).epsilon(16 * test::unit<T>));
  }
}

TEST_CASE("softmax: gradient agrees with finite differences", "[autograd]") {
  Rng rng{.seed = 19};
  for (const Index n : {1, 2, 5, 17})
    CHECK(gradcheck([](const auto& v) { return test::probe(softmax(v)); },
                    drawn<double>({3, n}, rng)));
}

TEMPLATE_TEST_CASE("softmax: finite for large numbers", "[autograd]", float, double) {
  using T = TestType;
  const auto x =
      Variable<T>::parameter(tensor<T>({2, 3}, {1e15f, -1e15f, 0, -1e15f, -1e15f, -1e15f}));
  const auto y = softmax(x);
  CHECK(test::apart(y.value(), tensor<double>({2, 3}, {1, 0, 0, 1.0 / 3, 1.0 / 3, 1.0 / 3})) <=
        4 * test::unit<T>);
  backward(sum(square(y)));
  CHECK(all_finite<T>(x.gradient().view()));
}

TEST_CASE("softmax: shapes at the edge", "[autograd]") {
  CHECK(softmax(Variable<float>{Tensor<float>{Shape{}}}).value()[0] == 1);
  CHECK(softmax(Variable<float>{Tensor<float>{{0, 3}}}).shape() == Shape{0, 3});
  CHECK(test::text_of<ShapeError>([] { softmax(Variable<float>{Tensor<float>{{2, 0}}}); }) ==
        "softmax: x (2, 0) has rows without elements");
}

}  // namespace splitvit
