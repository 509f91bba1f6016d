// SPDX-License-Identifier: MIT
#include <utility>
#include <vector>

#include <splitvit/nn/part.hpp>
#include <splitvit/nn/token_statistics.hpp>

#include "nn/models.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::nn {
namespace {

using kernel::TokenStatistic;

/// What a part of two blocks computes at the cut behind it.
AtCut<double> look(TokenStatistic statistic) {
  Rng rng{.seed = 21};
  const Part<double> part{test::small_vit, 0, 2};
  test::draw_parameters<double>(part, rng);
  const Variable<double> images{test::drawn_images<double>(test::small_vit, 3, rng)};
  AtCut<double> at_cut = part.to_cut(images, NeedWeights::cls, statistic);
  CHECK(test::equal_bits(at_cut.tokens.value(), part.to_cut(images).tokens.value()));
  return at_cut;
}

}  // namespace

TEST_CASE("TokenStatistics: one for each token of the cut", "[nn]") {
  const Index N = test::small_vit.tokens();
  CHECK(look(TokenStatistic::none).statistics.empty());
  CHECK(look(TokenStatistic::keys).statistics.shape() ==
        Shape{3, N, test::small_vit.dim / test::small_vit.heads});
  for (const TokenStatistic statistic : {TokenStatistic::received, TokenStatistic::rollout}) {
    const auto seen = look(statistic);
    REQUIRE(seen.statistics.shape() == Shape{3, N, 1});
    for (Index b = 0; b < 3; ++b) {  // means of rows that sum to 1
      double sum = 0;
      for (Index j = 0; j < N; ++j) sum += seen.statistics[b * N + j];
      CHECK(sum == Approx(1.0));
    }
  }
  CHECK(look(TokenStatistic::value).statistics.shape() == Shape{3, N, 1});
}

TEST_CASE("TokenStatistics: what received and rollout are made of is what CLS's row is", "[nn]") {
  Rng rng{.seed = 22};
  const Block<double> block{6, 2, 12};
  test::draw_parameters<double>(block, rng);
  const Variable<double> x{test::drawn<double>({1, 4, 6}, rng)};
  const Tensor<double> row = block(x, NeedWeights::cls).cls_attention;
  TokenStatistics<double> rollout{TokenStatistic::rollout, 2};
  rollout.update(block.attn.qkv(block.norm1(x)).value());
  const Tensor<double> rolled = std::move(rollout).result();
  for (Index j = 0; j < 4; ++j)  // of one block: (row 0 of A + 1) / 2
    CHECK(rolled[j] == Approx((row[j] + (j == 0 ? 1.0 : 0.0)) / 2).epsilon(1e-12));
}

TEST_CASE("TokenStatistics: only rollout looks at more than the last block", "[nn]") {
  for (const TokenStatistic statistic :
       {TokenStatistic::received, TokenStatistic::value, TokenStatistic::keys}) {
    const TokenStatistics<float> statistics{statistic, 2};
    CHECK(statistics.required(true));
    CHECK_FALSE(statistics.required(false));
  }
  CHECK(TokenStatistics<float>{TokenStatistic::rollout, 2}.required(false));
  CHECK_FALSE(TokenStatistics<float>{TokenStatistic::none, 2}.required(true));
}

}  // namespace splitvit::nn
