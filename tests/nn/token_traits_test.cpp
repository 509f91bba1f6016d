// SPDX-License-Identifier: MIT
#include <utility>
#include <vector>

#include <splitvit/nn/cut.hpp>
#include <splitvit/nn/token_traits.hpp>

#include "nn/models.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::nn {
namespace {

using kernel::TokenTrait;

/// The traits of what a head with two blocks sends, and what it knows of CLS.
struct Seen {
  Tensor<double> traits, cls_attention;
};

Seen look(TokenTrait trait) {
  Rng rng{.seed = 21};
  const Head<double> head{test::small_vit, 2};
  test::draw_parameters<double>(head, rng);
  const Variable<double> images{test::drawn_images<double>(test::small_vit, 3, rng)};
  TokenTraits<double> traits{trait, test::small_vit.heads};
  auto at_cut = head(images, ClsRow::keep, &traits);
  CHECK(test::equal_bits(at_cut.y.value(), head(images).y.value()));
  return {std::move(traits).result(), std::move(at_cut.cls_attention)};
}

}  // namespace

TEST_CASE("TokenTraits: one for each token of the cut", "[nn]") {
  const Index N = test::small_vit.tokens();
  CHECK(look(TokenTrait::none).traits.empty());
  CHECK(look(TokenTrait::keys).traits.shape() ==
        Shape{3, N, test::small_vit.dim / test::small_vit.heads});
  for (const TokenTrait trait : {TokenTrait::received, TokenTrait::rollout}) {
    const auto seen = look(trait);
    REQUIRE(seen.traits.shape() == Shape{3, N, 1});
    for (Index b = 0; b < 3; ++b) {  // means of rows that sum to 1
      double sum = 0;
      for (Index j = 0; j < N; ++j) sum += seen.traits[b * N + j];
      CHECK(sum == Approx(1.0));
    }
  }
  CHECK(look(TokenTrait::value).traits.shape() == Shape{3, N, 1});
}

TEST_CASE("TokenTraits: what received and rollout are made of is what CLS's row is", "[nn]") {
  Rng rng{.seed = 22};
  const Block<double> block{6, 2, 12};
  test::draw_parameters<double>(block, rng);
  const Variable<double> x{test::drawn<double>({1, 4, 6}, rng)};
  const Tensor<double> row = block(x, ClsRow::keep).cls_attention;
  TokenTraits<double> rollout{TokenTrait::rollout, 2};
  rollout.see(block.attn.qkv(block.norm1(x)).value());
  const Tensor<double> rolled = std::move(rollout).result();
  for (Index j = 0; j < 4; ++j)  // of one block: (row 0 of A + 1) / 2
    CHECK(rolled[j] == Approx((row[j] + (j == 0 ? 1.0 : 0.0)) / 2).epsilon(1e-12));
}

TEST_CASE("TokenTraits: only rollout looks at more than the last block", "[nn]") {
  for (const TokenTrait trait : {TokenTrait::received, TokenTrait::value, TokenTrait::keys}) {
    const TokenTraits<float> traits{trait, 2};
    CHECK(traits.wants(true));
    CHECK_FALSE(traits.wants(false));
  }
  CHECK(TokenTraits<float>{TokenTrait::rollout, 2}.wants(false));
  CHECK_FALSE(TokenTraits<float>{TokenTrait::none, 2}.wants(true));
}

}  // namespace splitvit::nn
