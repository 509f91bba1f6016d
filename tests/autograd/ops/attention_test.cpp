// SPDX-License-Identifier: MIT
#include <cmath>

#include <splitvit/autograd/ops/attention.hpp>
#include <splitvit/tensor/reduce.hpp>

#include "autograd/probe.hpp"
#include "support/catch.hpp"

namespace splitvit {

using test::drawn;
using test::probe;
using test::tensor;

TEMPLATE_TEST_CASE("attention: known values", "[autograd]", float, double) {
  using T = TestType;
  // Two tokens, one head of width 1. Scores of token 0: log 3 and 0; of token 1: all 0.
  const auto log3 = static_cast<T>(std::log(3.0));
  const Variable<T> qkv{tensor<T>({1, 2, 3}, {1, log3, 8, 0, 0, 4})};
  const auto out = attention(qkv, 1, NeedWeights::cls);
  CHECK(out.y.value()[0] == Approx(0.75 * 8 + 0.25 * 4));
  CHECK(out.y.value()[1] == Approx(6));
  CHECK(out.cls_attention[0] == Approx(0.75));
  CHECK(out.cls_attention[1] == Approx(0.25));
  CHECK(out.y.shape() == Shape{1, 2, 1});
  CHECK(attention(qkv, 1).cls_attention.shape() == Shape{0});
}

TEMPLATE_TEST_CASE("attention: rows of CLS sum to 1 and do not change y", "[autograd]", float,
                   double) {
  using T = TestType;
  Rng rng{.seed = 5};
  const Variable<T> qkv{drawn<T>({3, 9, 36}, rng)};
  const auto with = attention(qkv, 3, NeedWeights::cls);
  CHECK(test::equal_bits(with.y.value(), attention(qkv, 3).y.value()));
  REQUIRE(with.cls_attention.shape() == Shape{3, 9});
  for (Index b = 0; b < 3; ++b) {
    double sum = 0;
    for (Index j = 0; j < 9; ++j) {
      CHECK(with.cls_attention[b * 9 + j] > 0);
      sum += static_cast<double>(with.cls_attention[b * 9 + j]);
    }
    CHECK(sum == Approx(1.0).epsilon(8 * test::unit<T>));
  }
}

TEST_CASE("attention: gradient agrees with finite differences", "[autograd]") {
  Rng rng{.seed = 6};
  struct Sizes {
    Index B, N, D, H;
  };
  for (const auto& [B, N, D, H] :
       {Sizes{2, 3, 4, 2}, Sizes{1, 5, 6, 3}, Sizes{1, 4, 3, 1}, Sizes{2, 1, 2, 1}})
    CHECK(gradcheck([heads = H](const auto& v) { return probe(attention(v, heads).y); },
                    drawn<double>({B, N, 3 * D}, rng)));
}

TEMPLATE_TEST_CASE("attention: one token looks at itself", "[autograd]", float, double) {
  using T = TestType;
  const auto qkv = Variable<T>::parameter(tensor<T>({1, 1, 6}, {1, 2, 3, 4, 5, 6}));
  const auto out = attention(qkv, 2, NeedWeights::cls);
  CHECK(test::equal_bits(out.y.value(), tensor<T>({1, 1, 2}, {5, 6})));
  CHECK(out.cls_attention[0] == 1);
  backward(out.y, tensor<T>({1, 1, 2}, {1, 10}));
  CHECK(test::apart(qkv.gradient(), tensor<T>({1, 1, 6}, {0, 0, 0, 0, 1, 10})) <=
        16 * test::unit<T>);
}

TEMPLATE_TEST_CASE("attention: finite for large and for equal scores", "[autograd]", float,
                   double) {
  using T = TestType;
  Rng rng{.seed = 7};
  for (const T size : {T{0}, T{1e6}}) {
    const auto qkv = Variable<T>::parameter(scale(drawn<T>({2, 5, 12}, rng), size));
    const auto out = attention(qkv, 2, NeedWeights::cls);
    backward(sum(square(out.y)));
    CHECK(all_finite<T>(out.y.value().view()));
    CHECK(all_finite<T>(out.cls_attention.view()));
    CHECK(all_finite<T>(qkv.gradient().view()));
  }
}

TEST_CASE("cls_attention: row 0 of attention, and a gradient of its own", "[autograd]") {
  Rng rng{.seed = 8};
  for (const Index N : {1, 2, 9}) {
    const auto qkv = drawn<double>({2, N, 18}, rng);
    const Variable<double> all = attention(Variable<double>{qkv}, 3).y;
    const Variable<double> cls = cls_attention(Variable<double>{qkv}, 3);
    REQUIRE(cls.shape() == Shape{2, 6});
    for (Index b = 0; b < 2; ++b)
      for (Index j = 0; j < 6; ++j)
        CHECK(cls.value()[b * 6 + j] == Approx(all.value()[b * N * 6 + j]).epsilon(1e-13));
    CHECK(gradcheck([](const auto& v) { return probe(cls_attention(v, 3)); }, qkv));
  }
}

TEST_CASE("cls_attention: misuse", "[autograd]") {
  const auto complaint = [](const Shape& shape) {
    return test::text_of<ShapeError>(
        [&] { cls_attention(Variable<float>{Tensor<float>{shape}}, 2); });
  };
  CHECK_THAT(complaint({5, 12}), ContainsSubstring("cls_attention: qkv (5, 12) in 2 heads"));
  CHECK_THAT(complaint({5, 0, 12}), ContainsSubstring("has no token 0"));
}

TEST_CASE("attention: misuse", "[autograd]") {
  const auto try_shape = [](const Shape& shape, Index heads) {
    return test::text_of<ShapeError>(
        [&] { attention(Variable<float>{Tensor<float>{shape}}, heads); });
  };
  CHECK(try_shape({2, 5, 12}, 3) ==
        "attention: qkv (2, 5, 12) in 3 heads: wanted (B, N, 3 D) with D a multiple of the heads");
  CHECK_THAT(try_shape({5, 12}, 2), ContainsSubstring("qkv (5, 12) in 2 heads"));
  CHECK_THAT(try_shape({1, 2, 12}, 0), ContainsSubstring("in 0 heads"));
  CHECK_THAT(try_shape({1, 2, 12}, -1), ContainsSubstring("in -1 heads"));
  CHECK_THAT(try_shape({1, 2, 0}, 1), ContainsSubstring("(1, 2, 0)"));
}

}  // namespace splitvit
