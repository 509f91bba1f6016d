// SPDX-License-Identifier: MIT
#include <splitvit/autograd/ops/linear.hpp>
#include <splitvit/tensor/reduce.hpp>

#include "autograd/probe.hpp"
#include "support/catch.hpp"

namespace splitvit {

using test::drawn;
using test::equal_bits;
using test::probe;
using test::tensor;

TEMPLATE_TEST_CASE("linear: known values and gradients", "[autograd]", float, double) {
  using T = TestType;
  const auto x = Variable<T>::parameter(tensor<T>({2, 3}, {1, 2, 3, -1, 0, 4}));
  const auto w = Variable<T>::parameter(tensor<T>({2, 3}, {1, 0, 2, -1, 3, 0.5}));
  const auto b = Variable<T>::parameter(tensor<T>({2}, {10, 20}));
  const auto y = linear(x, w, b);
  CHECK(equal_bits(y.value(), tensor<T>({2, 2}, {17, 26.5, 17, 23})));
  CHECK(equal_bits(linear(x, w).value(), tensor<T>({2, 2}, {7, 6.5, 7, 3})));
  backward(y, tensor<T>({2, 2}, {1, 2, 3, 4}));
  CHECK(equal_bits(x.gradient(), tensor<T>({2, 3}, {-1, 6, 3, -1, 12, 8})));
  CHECK(equal_bits(w.gradient(), tensor<T>({2, 3}, {-2, 2, 15, -2, 4, 22})));
  CHECK(equal_bits(b.gradient(), tensor<T>({2}, {4, 6})));
}

TEST_CASE("linear: bf16 rounds both factors of each product", "[autograd]") {
  // 257 has nine significant bits, and its half is even
  const auto x = Variable<float>::parameter(tensor<float>({1, 2}, {257, 1}));
  const auto w = Variable<float>::parameter(tensor<float>({1, 2}, {1, 257}));
  const auto y = linear<float, kernel::BrainPair>(x, w);
  CHECK(y.value()[0] == 512);
  backward(y, tensor<float>({1, 1}, {3}));
  CHECK(equal_bits(x.gradient(), tensor<float>({1, 2}, {3, 768})));
  CHECK(equal_bits(w.gradient(), tensor<float>({1, 2}, {768, 3})));
}

TEST_CASE("linear: gradients agree with finite differences", "[autograd]") {
  Rng rng{.seed = 13};
  using V = Variable<double>;
  const auto x = drawn<double>({2, 2, 5}, rng), w = drawn<double>({3, 5}, rng),
             b = drawn<double>({3}, rng);
  CHECK(gradcheck([&](const V& v) { return probe(linear(v, V{w}, V{b})); }, x));
  CHECK(gradcheck([&](const V& v) { return probe(linear(V{x}, v, V{b})); }, w));
  CHECK(gradcheck([&](const V& v) { return probe(linear(V{x}, V{w}, v)); }, b));
  CHECK(gradcheck([&](const V& v) { return probe(linear(v, V{w})); }, x));
  CHECK(gradcheck([&](const V& v) { return probe(linear(V{x}, v)); }, w));
  const auto square_matrix = drawn<double>({4, 4}, rng);  // one leaf as both factors
  CHECK(gradcheck([&](const V& v) { return probe(linear(v, v)); }, square_matrix));
}

TEST_CASE("linear: only what needs a gradient gets one", "[autograd]") {
  Rng rng{.seed = 14};
  const auto x = Variable<float>::parameter(drawn<float>({3, 4}, rng));
  const auto w = Variable<float>::parameter(drawn<float>({2, 4}, rng));
  const auto b = Variable<float>::parameter(drawn<float>({2}, rng));
  for (const auto& needed : {x, w, b}) {
    for (const auto& v : {x, w, b}) {
      v.set_requires_grad(false);
      v.clear_gradient();
    }
    needed.set_requires_grad(true);
    backward(sum(linear(x, w, b)));
    for (const auto& v : {x, w, b}) CHECK(v.has_gradient() == (v.node() == needed.node()));
  }
}

TEST_CASE("linear: no rows, no inputs, and x without an axis for rows", "[autograd]") {
  const auto w = Variable<float>::parameter(tensor<float>({2, 1}, {3, 4}));
  const auto b = Variable<float>::parameter(tensor<float>({2}, {5, 6}));
  const auto none = linear(Variable<float>{Tensor<float>{{0, 1}}}, w, b);
  CHECK(none.shape() == Shape{0, 2});
  backward(sum(none));
  CHECK(equal_bits(w.gradient(), Tensor<float>{{2, 1}}));
  CHECK(equal_bits(b.gradient(), Tensor<float>{{2}}));
  const auto row = linear(Variable<float>{tensor<float>({1}, {10})}, w, b);
  CHECK(equal_bits(row.value(), tensor<float>({2}, {35, 46})));
  const auto biases =
      linear(Variable<float>{Tensor<float>{{2, 0}}}, Variable<float>{Tensor<float>{{2, 0}}}, b);
  CHECK(equal_bits(biases.value(), tensor<float>({2, 2}, {5, 6, 5, 6})));
}

TEST_CASE("linear: misuse", "[autograd]") {
  const auto of = [](const Shape& shape) { return Variable<float>{Tensor<float>{shape}}; };
  CHECK(test::text_of<ShapeError>([&] { linear(of({4, 3}), of({2, 5}), of({2})); }) ==
        "linear: x (4, 3), weight (2, 5), bias (2): wanted x (..., in), weight (out, in), bias "
        "(out)");
  CHECK(test::text_of<ShapeError>([&] { linear(of({4, 3}), of({3})); }) ==
        "linear: x (4, 3), weight (3): wanted x (..., in), weight (out, in), bias (out)");
  CHECK_THROWS_AS(linear(of({4, 3}), of({2, 3}), of({3})), ShapeError);
  CHECK_THROWS_AS(linear(of({}), of({2, 1}), of({2})), ShapeError);
}

}  // namespace splitvit
