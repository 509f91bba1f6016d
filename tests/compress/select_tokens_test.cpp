// SPDX-License-Identifier: MIT

#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/compress/select_tokens.hpp>

#include "support/catch.hpp"
#include "support/random_batch.hpp"

namespace splitvit::compress {
namespace {

using test::equal_bits;
using test::random_batch;

}  // namespace

TEST_CASE("SelectTokens: keeps CLS and the largest, in order", "[compress]") {
  Rng rng;
  const auto x = Variable<float>::parameter(
      Tensor<float>{{2, 4, 1}, std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}});
  const CutBatch<float> batch{
      x, Tensor<float>{{2, 4}, std::vector<float>{0, .1f, .3f, .2f, .7f, .2f, .1f, .1f}},
      std::vector<Index>{0, 1}};
  const auto out = SelectTokens{.keep = 0.75}(batch, rng);
  const auto tokens = out.tokens.value().span();
  CHECK(std::vector(tokens.begin(), tokens.end()) == std::vector<float>{1, 3, 4, 5, 6, 7});
  const auto attention = out.cls_attention.span();  // not rescaled; of equal ones the lower
  CHECK(std::vector(attention.begin(), attention.end()) ==
        std::vector<float>{0, .3f, .2f, .7f, .2f, .1f});
  CHECK(out.labels == batch.labels);

  backward(out.tokens, Tensor<float>{{2, 3, 1}, std::vector<float>{1, 2, 3, 4, 5, 6}});
  const auto dx = x.gradient().span();
  CHECK(std::vector(dx.begin(), dx.end()) == std::vector<float>{1, 0, 2, 3, 4, 5, 6, 0});
}

TEST_CASE("SelectTokens: how many remain", "[compress]") {
  Rng rng{.seed = 5};
  const auto remaining = [&](Index N, double keep) {
    return SelectTokens{.keep = keep}(random_batch<float>({.samples = 2, .tokens = N}, rng), rng)
        .token_count();
  };
  CHECK(remaining(197, 0.5) == 98);
  CHECK(remaining(100, 0.29) == 28);
  CHECK(remaining(17, 0.01) == 1);
  CHECK(remaining(17, 1.0) == 17);
  CHECK(remaining(1, 0.5) == 1);
}

TEST_CASE("SelectTokens: another score takes the place of attention in the ranking only",
          "[compress]") {
  Rng rng{.seed = 7};
  const auto batch = random_batch<float>({.samples = 3, .tokens = 9}, rng);
  for (const TokenScore score : {TokenScore::norm, TokenScore::farthest, TokenScore::random}) {
    Rng first = rng, second = rng;
    const auto out = SelectTokens{.keep = 0.5, .score = score}(batch, first);
    CHECK(equal_bits(out, gather_tokens(batch, choose_tokens(batch, score, 4, second))));
    CHECK(first.position == second.position);
  }
}

TEST_CASE("SelectTokens: the rest token takes the place of the weakest one", "[compress]") {
  Rng rng{.seed = 8};
  const auto batch = random_batch<double>({.samples = 2, .tokens = 6, .width = 3}, rng);
  const auto with = SelectTokens{.keep = 0.5, .rest = RestToken::mean}(batch, rng);
  const auto without = SelectTokens{.keep = 0.5}(batch, rng);
  CHECK(with.token_count() == without.token_count());  // the same bytes
  const auto fewer = best_tokens(batch.cls_attention, 2);
  CHECK(equal_bits(with, gather_with_rest(batch, fewer, RestToken::mean)));
  // One token: there is no place for it.
  CHECK(equal_bits(SelectTokens{.keep = 0.2, .rest = RestToken::mean}(batch, rng),
                   SelectTokens{.keep = 0.2}(batch, rng)));
}

TEST_CASE("SelectTokens: of two tokens one is CLS and one the mean of all patches", "[compress]") {
  Rng rng{.seed = 9};
  const auto batch = random_batch<double>({.samples = 3, .tokens = 7, .width = 2}, rng);
  const auto out = SelectTokens{.keep = 0.3, .rest = RestToken::mean}(batch, rng);
  REQUIRE(out.token_count() == 2);
  for (Index b = 0; b < 3; ++b)
    for (Index d = 0; d < 2; ++d) {
      const double* const x = batch.tokens.value().data() + b * 14 + d;
      CHECK(out.tokens.value()[b * 4 + d] == x[0]);
      const double mean = (x[2] + x[4] + x[6] + x[8] + x[10] + x[12]) / 6.0;
      CHECK(out.tokens.value()[b * 4 + 2 + d] == Approx(mean).epsilon(1e-14));
    }
}

TEST_CASE("SelectTokens: description holds every option", "[compress]") {
  CHECK(SelectTokens{.keep = 0.25}.description() == "select:0.25:score=attention:rest=none");
  CHECK(SelectTokens{.score = TokenScore::farthest, .rest = RestToken::mean}.description() ==
        "select:0.5:score=farthest:rest=mean");
}

}  // namespace splitvit::compress
