// SPDX-License-Identifier: MIT
#include <cmath>

#include <splitvit/autograd/ops/layer_norm.hpp>
#include <splitvit/tensor/reduce.hpp>

#include "autograd/probe.hpp"
#include "support/catch.hpp"

namespace splitvit {

using test::drawn;
using test::probe;
using test::tensor;

TEMPLATE_TEST_CASE("layer_norm: known values", "[autograd]", float, double) {
  using T = TestType;
  const Variable<T> x{tensor<T>({1, 4}, {1, 3, 1, 3})};  // mean 2, variance 1
  const Variable<T> w{tensor<T>({4}, {1, 2, 3, 4})}, b{tensor<T>({4}, {0, 0, 10, 10})};
  CHECK(test::apart(layer_norm(x, w, b, T{0}).value(), tensor<double>({1, 4}, {-1, 2, 7, 14})) <=
        4 * test::unit<T>);
  CHECK(test::apart(layer_norm(x, w, b, T{3}).value(),
                    tensor<double>({1, 4}, {-0.5, 1, 8.5, 12})) <= 4 * test::unit<T>);
}

TEST_CASE("layer_norm: gradients agree with finite differences", "[autograd]") {
  Rng rng{.seed = 11};
  for (const Index D : {2, 5, 17}) {
    const auto x = drawn<double>({2, 3, D}, rng), w = drawn<double>({D}, rng),
               b = drawn<double>({D}, rng);
    using V = Variable<double>;
    CHECK(gradcheck([&](const V& v) { return probe(layer_norm(v, V{w}, V{b}, 0.1)); }, x));
    CHECK(gradcheck([&](const V& v) { return probe(layer_norm(V{x}, v, V{b})); }, w));
    CHECK(gradcheck([&](const V& v) { return probe(layer_norm(V{x}, V{w}, v)); }, b));
  }
}

TEMPLATE_TEST_CASE("layer_norm: finite for constant and for large rows", "[autograd]", float,
                   double) {
  using T = TestType;
  Rng rng{.seed = 12};
  const auto w = Variable<T>::parameter(drawn<T>({8}, rng));
  const auto b = Variable<T>::parameter(drawn<T>({8}, rng));
  for (const T level : {T{0}, T{0.3f}, T{1e15f}}) {
    const auto x = Variable<T>::parameter(Tensor<T>::full({2, 8}, level));
    const auto y = layer_norm(x, w, b);
    backward(sum(square(y)));
    CHECK(all_finite<T>(y.value().view()));
    CHECK(all_finite<T>(x.gradient().view()));
    CHECK(all_finite<T>(w.gradient().view()));
  }
}

TEST_CASE("layer_norm: rows of any shape, and no rows", "[autograd]") {
  const Variable<float> w{Tensor<float>::full({3}, 1)}, b{Tensor<float>{{3}}};
  CHECK(layer_norm(Variable<float>{Tensor<float>{{3}}}, w, b).shape() == Shape{3});
  CHECK(layer_norm(Variable<float>{Tensor<float>{{0, 3}}}, w, b).shape() == Shape{0, 3});
}

TEST_CASE("layer_norm: misuse", "[autograd]") {
  const auto with = [](const Shape& x, const Shape& w, const Shape& b) {
    return test::text_of<ShapeError>([&] {
      layer_norm(Variable<float>{Tensor<float>{x}}, Variable<float>{Tensor<float>{w}},
                 Variable<float>{Tensor<float>{b}});
    });
  };
  CHECK(with({2, 4}, {3}, {4}) ==
        "layer_norm: x (2, 4), weight (3), bias (4): wanted x (..., D), both others (D)");
  CHECK_THAT(with({2, 4}, {4}, {4, 1}), ContainsSubstring("bias (4, 1)"));
  CHECK_THAT(with({2, 0}, {0}, {0}), ContainsSubstring("x (2, 0)"));
  CHECK_THAT(with({}, {1}, {1}), ContainsSubstring("x ()"));
}

}  // namespace splitvit
