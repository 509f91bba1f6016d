// SPDX-License-Identifier: MIT
#include <stdexcept>
#include <vector>

#include <splitvit/autograd/ops/tokens.hpp>

#include "autograd/probe.hpp"
#include "support/catch.hpp"

namespace splitvit {

using test::drawn;
using test::equal_bits;
using test::probe;
using test::tensor;

TEMPLATE_TEST_CASE("tokens: known values and gradients", "[autograd]", float, double) {
  using T = TestType;
  const auto x = Variable<T>::parameter(tensor<T>({2, 1, 2}, {1, 2, 3, 4}));
  const auto cls = Variable<T>::parameter(tensor<T>({1, 1, 2}, {10, 20}));
  const auto places = Variable<T>::parameter(tensor<T>({1, 2, 2}, {100, 200, 300, 400}));
  const auto y = with_cls_token(x, cls, places);
  CHECK(equal_bits(y.value(), tensor<T>({2, 2, 2}, {110, 220, 301, 402, 110, 220, 303, 404})));
  CHECK(equal_bits(cls_token(y).value(), tensor<T>({2, 2}, {110, 220, 110, 220})));
  backward(y, tensor<T>({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}));
  CHECK(equal_bits(x.gradient(), tensor<T>({2, 1, 2}, {3, 4, 7, 8})));
  CHECK(equal_bits(cls.gradient(), tensor<T>({1, 1, 2}, {6, 8})));
  CHECK(equal_bits(places.gradient(), tensor<T>({1, 2, 2}, {6, 8, 10, 12})));
}

TEMPLATE_TEST_CASE("tokens: means and picks, and their gradients", "[autograd]", float, double) {
  using T = TestType;
  const auto x =
      Variable<T>::parameter(tensor<T>({2, 3, 2}, {1, 2, 3, 4, 8, 9, 10, 20, 30, 40, 80, 90}));
  const auto y = mean_of_tokens(x);
  CHECK(y.value()[0] == Approx(4));
  CHECK(y.value()[1] == Approx(5));
  CHECK(y.value()[2] == Approx(40));
  CHECK(y.value()[3] == Approx(50));
  const Tensor<Index> index{Shape{2, 2}, std::vector<Index>{0, 2, 2, 1}};
  const auto picked = pick_tokens(x, index);
  CHECK(equal_bits(picked.value(), tensor<T>({2, 2, 2}, {1, 2, 8, 9, 80, 90, 30, 40})));
  backward(picked, tensor<T>({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}));
  CHECK(equal_bits(x.gradient(), tensor<T>({2, 3, 2}, {1, 2, 0, 0, 3, 4, 0, 0, 7, 8, 5, 6})));
}

TEST_CASE("tokens: gradients agree with finite differences", "[autograd]") {
  Rng rng{.seed = 21};
  using V = Variable<double>;
  const auto x = drawn<double>({3, 4, 5}, rng), cls = drawn<double>({1, 1, 5}, rng),
             places = drawn<double>({1, 5, 5}, rng);
  CHECK(gradcheck([&](const V& v) { return probe(with_cls_token(v, V{cls}, V{places})); }, x));
  CHECK(gradcheck([&](const V& v) { return probe(with_cls_token(V{x}, v, V{places})); }, cls));
  CHECK(gradcheck([&](const V& v) { return probe(with_cls_token(V{x}, V{cls}, v)); }, places));
  CHECK(gradcheck([](const V& v) { return probe(cls_token(v)); }, x));
  CHECK(gradcheck([](const V& v) { return probe(mean_of_tokens(v)); }, x));
  const Tensor<Index> index{Shape{3, 2}, std::vector<Index>{0, 3, 1, 2, 3, 0}};
  CHECK(gradcheck([&](const V& v) { return probe(pick_tokens(v, index)); }, x));
}

TEST_CASE("tokens: a model without patches, a batch without samples", "[autograd]") {
  const auto cls = Variable<float>::parameter(tensor<float>({1, 1, 2}, {1, 2}));
  const auto place = Variable<float>::parameter(tensor<float>({1, 1, 2}, {3, 4}));
  const auto alone = with_cls_token(Variable<float>{Tensor<float>{{2, 0, 2}}}, cls, place);
  CHECK(equal_bits(alone.value(), tensor<float>({2, 1, 2}, {4, 6, 4, 6})));
  const auto none = with_cls_token(Variable<float>{Tensor<float>{{0, 0, 2}}}, cls, place);
  CHECK(none.shape() == Shape{0, 1, 2});
  CHECK(cls_token(none).shape() == Shape{0, 2});
  backward(sum(none));
  CHECK(equal_bits(cls.gradient(), Tensor<float>{{1, 1, 2}}));
}

TEST_CASE("tokens: misuse", "[autograd]") {
  const auto of = [](const Shape& shape) { return Variable<float>{Tensor<float>{shape}}; };
  CHECK(test::text_of<ShapeError>(
            [&] { with_cls_token(of({2, 4, 3}), of({1, 1, 3}), of({1, 4, 3})); }) ==
        "with_cls_token: x (2, 4, 3), cls (1, 1, 3), positions (1, 4, 3): wanted (B, N, D), (1, 1, "
        "D), (1, N + 1, D)");
  CHECK_THROWS_AS(with_cls_token(of({2, 4, 3}), of({1, 1, 2}), of({1, 5, 3})), ShapeError);
  CHECK_THROWS_AS(with_cls_token(of({4, 3}), of({1, 1, 3}), of({1, 5, 3})), ShapeError);
  CHECK(test::text_of<ShapeError>([&] { cls_token(of({2, 0, 3})); }) ==
        "cls_token: x (2, 0, 3): wanted (B, N, D) with at least one token");
  CHECK_THROWS_AS(cls_token(of({2, 3})), ShapeError);
  CHECK_THROWS_AS(mean_of_tokens(of({2, 0, 3})), ShapeError);
  CHECK_THROWS_AS(mean_of_tokens(of({2, 3})), ShapeError);
  const auto x = of({2, 4, 3});
  CHECK_THROWS_AS(pick_tokens(x, Tensor<Index>{Shape{1, 2}}), ShapeError);
  CHECK_THROWS_AS(pick_tokens(x, Tensor<Index>{Shape{2, 0}}), ShapeError);
  CHECK_THROWS_AS(pick_tokens(of({2, 4}), Tensor<Index>{Shape{2, 1}}), ShapeError);
  for (const Index wrong : {Index{-1}, Index{4}})
    CHECK(test::text_of<std::invalid_argument>([&] {
            pick_tokens(x, Tensor<Index>{Shape{2, 1}, std::vector<Index>{0, wrong}});
          }) == "pick_tokens: an index outside of 0 to 3");
}

}  // namespace splitvit
