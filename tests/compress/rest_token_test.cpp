// SPDX-License-Identifier: MIT

#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/compress/rest_token.hpp>
#include <splitvit/core/finite.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"
#include "support/random_batch.hpp"

namespace splitvit::compress {
namespace {

using test::equal_bits;
using test::tensor;

/// One sample of five tokens of width 1.
CutBatch<double> five_tokens(std::initializer_list<double> attention) {
  return {Variable<double>::parameter(tensor<double>({1, 5, 1}, {7, 1, 2, 4, 8})),
          tensor<double>({1, 5}, attention), std::vector<Index>{0}};
}

const Tensor<Index> cls_and_third{{1, 2}, std::vector<Index>{0, 3}};

}  // namespace

TEST_CASE("gather_with_rest: weights of attention, worked by hand", "[compress]") {
  const auto batch = five_tokens({0.5, 0.125, 0.25, 0.0, 0.125});
  const auto out = gather_with_rest(batch, cls_and_third, RestToken::attention);
  CHECK(equal_bits(out.tokens.value(), tensor<double>({1, 3, 1}, {7, 4, 3.25})));
  CHECK(equal_bits(out.cls_attention, tensor<double>({1, 3}, {0.5, 0.0, 0.5})));
  backward(out.tokens, tensor<double>({1, 3, 1}, {10, 20, 40}));
  CHECK(equal_bits(batch.tokens.gradient(), tensor<double>({1, 5, 1}, {10, 10, 20, 20, 10})));
}

TEST_CASE("gather_with_rest: equal weights, worked by hand", "[compress]") {
  const auto batch = five_tokens({0.5, 0.125, 0.25, 0.0, 0.125});
  const auto out = gather_with_rest(batch, cls_and_third, RestToken::mean);
  CHECK(test::apart(out.tokens.value(), tensor<double>({1, 3, 1}, {7, 4, 11.0 / 3})) < 1e-15);
  CHECK(equal_bits(out.cls_attention, tensor<double>({1, 3}, {0.5, 0.0, 0.5})));
  backward(out.tokens, tensor<double>({1, 3, 1}, {10, 20, 30}));
  CHECK(test::apart(batch.tokens.gradient(), tensor<double>({1, 5, 1}, {10, 10, 10, 20, 10})) <
        1e-15);
}

TEST_CASE("gather_with_rest: attention that is no weight counts all alike", "[compress]") {
  const auto mean = gather_with_rest(five_tokens({1, 0, 0, 0, 0}), cls_and_third, RestToken::mean);
  for (const auto& batch : {five_tokens({1, 0, 0, 0, 0}), five_tokens({1, -1, 2, 0, 1}),
                            five_tokens({0, 1.7e308, 1.7e308, 0, 1.7e308})}) {
    const auto out = gather_with_rest(batch, cls_and_third, RestToken::attention);
    CHECK(equal_bits(out.tokens.value(), mean.tokens.value()));
    CHECK(all_finite<double>(out.cls_attention.span()));
  }
}

TEST_CASE("gather_with_rest: without a rest token it is gather_tokens", "[compress]") {
  const auto batch = five_tokens({0.5, 0.125, 0.25, 0.0, 0.125});
  CHECK(equal_bits(gather_with_rest(batch, cls_and_third, RestToken::none),
                   gather_tokens(batch, cls_and_third)));
}

TEST_CASE("gather_with_rest: misuse", "[compress]") {
  const auto batch = five_tokens({0.5, 0.125, 0.25, 0.0, 0.125});
  const auto gather = [&](const std::vector<Index>& index) {
    return gather_with_rest(batch,
                            Tensor<Index>{{1, static_cast<Index>(index.size())}, std::span{index}},
                            RestToken::mean);
  };
  CHECK_NOTHROW(gather({0, 4, 2, 1}));
  CHECK_THROWS_WITH(gather({0, 4, 2, 1, 3}), ContainsSubstring("none is left for the rest"));
  CHECK_THROWS_AS(gather({0, 5}), std::invalid_argument);
  CHECK_THROWS_AS(gather({1, 2}), std::invalid_argument);
  CHECK_THROWS_AS(gather({}), ShapeError);
}

}  // namespace splitvit::compress
