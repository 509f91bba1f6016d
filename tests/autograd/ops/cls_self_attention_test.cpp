// SPDX-License-Identifier: MIT
#include <splitvit/autograd/ops/cls_self_attention.hpp>
#include <splitvit/autograd/ops/linear.hpp>

#include "autograd/probe.hpp"
#include "support/catch.hpp"

namespace splitvit {

using test::drawn;
using test::probe;

TEST_CASE("cls_self_attention: linear and cls_attention, and gradients of its own", "[autograd]") {
  Rng rng{.seed = 9};
  for (const Index N : {1, 2, 7}) {
    const auto x = drawn<double>({2, N, 6}, rng), weight = drawn<double>({18, 6}, rng);
    const auto bias = drawn<double>({18}, rng), score_bias = drawn<double>({2, N}, rng);
    const Variable<double> given_x{x}, given_weight{weight}, given_bias{bias};
    const auto ours = cls_self_attention(given_x, given_weight, given_bias, 3, score_bias);
    REQUIRE(ours.shape() == Shape{2, 6});
    const auto plain = cls_attention(linear(given_x, given_weight, given_bias), 3, score_bias);
    CHECK(test::apart(ours.value(), plain.value()) <= 64 * test::unit<double>);
    CHECK(gradcheck(
        [&](const auto& v) {
          return probe(cls_self_attention(v, given_weight, given_bias, 3, score_bias));
        },
        x));
    CHECK(gradcheck(
        [&](const auto& v) { return probe(cls_self_attention(given_x, v, given_bias, 3)); },
        weight));
    CHECK(gradcheck(
        [&](const auto& v) { return probe(cls_self_attention(given_x, given_weight, v, 3)); },
        bias));
  }
}

TEST_CASE("cls_self_attention: misuse", "[autograd]") {
  const auto complaint = [](const Shape& x, Index heads, const Shape& weight, const Shape& bias,
                            const Shape& score_bias) {
    return test::text_of<ShapeError>([&] {
      cls_self_attention(Variable<float>{Tensor<float>{x}}, Variable<float>{Tensor<float>{weight}},
                         Variable<float>{Tensor<float>{bias}}, heads, Tensor<float>{score_bias});
    });
  };
  const Shape none{0};
  CHECK(complaint({2, 5, 4}, 2, {12, 4}, {12}, none) == "");
  CHECK(complaint({2, 5, 4}, 3, {12, 4}, {12}, none) ==
        "cls_self_attention: x (2, 5, 4) in 3 heads, weight (12, 4), bias (12): wanted (B, N, D) "
        "with a token 0 and D a multiple of the heads, (3 D, D), (3 D)");
  for (const Shape& x : {Shape{5, 4}, Shape{2, 0, 4}, Shape{2, 5, 0}, Shape{2, 5, 6}})
    CHECK_THAT(complaint(x, 2, {12, 4}, {12}, none), ContainsSubstring("x " + x.text()));
  CHECK_THAT(complaint({2, 5, 4}, 0, {12, 4}, {12}, none), ContainsSubstring("in 0 heads"));
  CHECK_THAT(complaint({2, 5, 4}, 2, {8, 4}, {12}, none), ContainsSubstring("weight (8, 4)"));
  CHECK_THAT(complaint({2, 5, 4}, 2, {12, 4}, {4}, none), ContainsSubstring("bias (4)"));
  CHECK_THAT(complaint({2, 5, 4}, 2, {12, 4}, {12}, {2, 4}), ContainsSubstring("bias (2, 4)"));
}

}  // namespace splitvit
