// SPDX-License-Identifier: MIT

#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include <splitvit/compress/select_tokens.hpp>
#include <splitvit/compress/token_choice.hpp>

#include "support/catch.hpp"
#include "support/random_batch.hpp"

namespace splitvit::compress {
namespace {

using test::random_batch;

std::vector<Index> as_vector(const Tensor<Index>& index) {
  return {index.span().begin(), index.span().end()};
}

/// The plain version of best_tokens: looks for the best one again and again.
template <class T>
std::set<Index> plain_best(const Tensor<T>& scores, Index b, Index P) {
  const Index N = scores.dim(1);
  std::set<Index> taken{0};
  while (static_cast<Index>(taken.size()) < P) {
    Index best = -1;
    for (Index j = 1; j < N; ++j)
      if (!taken.contains(j) && (best < 0 || scores[b * N + j] > scores[b * N + best])) best = j;
    taken.insert(best);
  }
  return taken;
}

/// One sample with tokens of width 1, and even attention.
CutBatch<double> on_a_line(const std::vector<double>& tokens) {
  const auto N = static_cast<Index>(tokens.size());
  return {Variable<double>{Tensor<double>{{1, N, 1}, tokens}}, Tensor<double>::full({1, N}, 0.1),
          std::vector<Index>{0}};
}

std::vector<Index> chosen(const CutBatch<double>& batch, TokenScore score, Index P) {
  Rng rng{.seed = 1};
  return as_vector(choose_tokens(batch, static_cast<TokenScore>(score), P, rng));
}

/// |x_j - centre| by plain loops.
double plain_distance(const CutBatch<double>& batch, Index b, Index j,
                      const std::vector<double>& centre) {
  double sum = 0.0;
  for (Index d = 0; d < batch.width(); ++d) {
    const double apart = batch.tokens.value()[(b * batch.token_count() + j) * batch.width() + d] -
                         centre[static_cast<std::size_t>(d)];
    sum += apart * apart;
  }
  return std::sqrt(sum);
}

}  // namespace

TEST_CASE("best_tokens: agrees with the plain version, ties included", "[compress]") {
  Rng rng{.seed = 3};
  for (int run = 0; run < 200; ++run) {
    const Index B = 1 + rng.below(4), N = 1 + rng.below(20), P = 1 + rng.below(N);
    Tensor<double> scores{{B, N}};
    for (double& score : scores.span())
      score = static_cast<double>(rng.below(5)) - 2.0;  // many ties
    const auto best = best_tokens(scores, P);
    for (Index b = 0; b < B; ++b) {
      const auto wanted = plain_best(scores, b, P);
      REQUIRE(std::vector(wanted.begin(), wanted.end()) ==
              std::vector(best.data() + b * P, best.data() + (b + 1) * P));
    }
  }
}

TEST_CASE("best_tokens: minus zero ties with zero", "[compress]") {
  const Tensor<float> scores{{1, 4}, std::vector<float>{0.0f, -0.0f, 0.0f, 0.0f}};
  CHECK(as_vector(best_tokens(scores, 2)) == std::vector<Index>{0, 1});
}

TEST_CASE("choose_tokens: by each score, worked by hand", "[compress]") {
  const auto batch = on_a_line({100, -3, 1, 2, -2, 9});
  using enum TokenScore;
  CHECK(chosen(batch, attention, 3) == std::vector<Index>{0, 1, 2});  // all alike: the lowest
  CHECK(chosen(batch, norm, 3) == std::vector<Index>{0, 1, 5});
  CHECK(chosen(batch, norm, 4) == std::vector<Index>{0, 1, 3, 5});  // 2 and -2 tie
  // the patches' mean is 1.4, from which they are 4.4, 0.4, 0.6, 3.4 and 7.6 apart
  CHECK(chosen(batch, deviation, 4) == std::vector<Index>{0, 1, 4, 5});
  // from 100: -3 (103); then 9, which is 12 from -3; then 2, 5 from -3 and 7 from 9
  CHECK(chosen(batch, farthest, 2) == std::vector<Index>{0, 1});
  CHECK(chosen(batch, farthest, 3) == std::vector<Index>{0, 1, 5});
  CHECK(chosen(batch, farthest, 4) == std::vector<Index>{0, 1, 3, 5});
  CHECK(chosen(batch, even, 2) == std::vector<Index>{0, 3});
  CHECK(chosen(batch, even, 3) == std::vector<Index>{0, 2, 4});
}

TEST_CASE("choose_tokens: norm and deviation agree with plain loops", "[compress]") {
  Rng rng{.seed = 4};
  for (int run = 0; run < 50; ++run) {
    const Index N = 2 + rng.below(20), D = 1 + rng.below(40), P = 1 + rng.below(N);
    const auto batch = random_batch<double>({.samples = 2, .tokens = N, .width = D}, rng);
    Tensor<double> norms{{2, N}}, deviations{{2, N}};
    for (Index b = 0; b < 2; ++b) {
      std::vector<double> mean(static_cast<std::size_t>(D)), zero(static_cast<std::size_t>(D));
      for (Index j = 1; j < N; ++j)
        for (Index d = 0; d < D; ++d)
          mean[static_cast<std::size_t>(d)] +=
              batch.tokens.value()[(b * N + j) * D + d] / static_cast<double>(N - 1);
      for (Index j = 0; j < N; ++j) {
        norms[b * N + j] = plain_distance(batch, b, j, zero);
        deviations[b * N + j] = plain_distance(batch, b, j, mean);
      }
    }
    CHECK(chosen(batch, TokenScore::norm, P) == as_vector(best_tokens(norms, P)));
    CHECK(chosen(batch, TokenScore::deviation, P) == as_vector(best_tokens(deviations, P)));
  }
}

TEST_CASE("choose_tokens: scores of the model's own are in the batch's statistics", "[compress]") {
  auto batch = on_a_line({0, 1, 2, 3, 4});
  batch.statistics = test::tensor<double>({1, 5, 1}, {0.0, 0.3, 0.1, 0.4, 0.2});
  for (const TokenScore score : {TokenScore::received, TokenScore::value, TokenScore::rollout}) {
    CHECK(chosen(batch, score, 3) == std::vector<Index>{0, 1, 3});
    CHECK(SelectTokens{.score = score}.required_statistic() == statistic_for(score));
    CHECK(statistic_for(score) != kernel::TokenStatistic::none);
    auto without = batch;
    without.statistics = {};
    CHECK_THROWS_WITH(chosen(without, score, 3), ContainsSubstring("wanted (B, N, 1) for score"));
  }
  CHECK(SelectTokens{}.required_statistic() == kernel::TokenStatistic::none);
}

TEST_CASE("choose_tokens: of equal tokens the lowest are taken", "[compress]") {
  const auto batch = on_a_line({1, 1, 1, 1, 1});
  for (const TokenScore score :
       {TokenScore::attention, TokenScore::norm, TokenScore::deviation, TokenScore::farthest})
    CHECK(chosen(batch, score, 3) == std::vector<Index>{0, 1, 2});
}

TEST_CASE("choose_tokens: numbers whose squares overflow are still compared", "[compress]") {
  const auto batch = on_a_line({0, 1e300, -1.5e308, 1.6e308, 2e200});
  CHECK(chosen(batch, TokenScore::norm, 3) == std::vector<Index>{0, 2, 3});
  CHECK(chosen(batch, TokenScore::farthest, 3) == std::vector<Index>{0, 2, 3});
  CHECK(chosen(batch, TokenScore::deviation, 3) == std::vector<Index>{0, 2, 3});
}

TEST_CASE("choose_tokens: each choice is ascending, of the right length, and begins with CLS",
          "[compress]") {
  Rng rng{.seed = 6};
  for (const auto& [name, score] : detail::score_names.all)
    for (Index N = 1; N <= 30; ++N)
      for (Index P = 1; P <= N; ++P) {
        const auto batch = random_batch<float>({.samples = 2, .tokens = N, .width = 3}, rng);
        const auto index = choose_tokens(batch, static_cast<TokenScore>(score), P, rng);
        INFO(name << " N " << N << " P " << P);
        REQUIRE(index.shape() == Shape{2, P});
        for (Index b = 0; b < 2; ++b) {
          REQUIRE(index[b * P] == 0);
          for (Index p = 1; p < P; ++p) REQUIRE(index[b * P + p] > index[b * P + p - 1]);
          REQUIRE(index[b * P + P - 1] < N);
        }
      }
}

TEST_CASE("choose_tokens: random takes each patch equally often", "[compress]") {
  Rng rng{.seed = 7};
  const auto batch = random_batch<float>({.samples = 4000, .tokens = 5, .width = 0}, rng);
  const auto index = choose_tokens(batch, TokenScore::random, 3, rng);
  std::vector<int> taken(5);
  for (const Index token : index.span()) ++taken[static_cast<std::size_t>(token)];
  CHECK(taken[0] == 4000);
  for (std::size_t j = 1; j < 5; ++j) CHECK(std::abs(taken[j] - 2000) < 150);
}

TEST_CASE("choose_tokens: only random draws", "[compress]") {
  Rng rng{.seed = 8};
  const auto batch = random_batch<float>({}, rng);
  for (const auto& [name, score] : detail::score_names.all) {
    const Rng before = rng;
    choose_tokens(batch, static_cast<TokenScore>(score), 4, rng);
    CHECK((rng.position == before.position) ==
          (static_cast<TokenScore>(score) != TokenScore::random));
  }
}

TEST_CASE("choose_tokens: misuse", "[compress]") {
  Rng rng{.seed = 12};
  const auto batch = random_batch<float>({.samples = 2, .tokens = 5}, rng);
  for (const Index P : {-1, 0, 6}) {
    CHECK_THROWS_AS(best_tokens(batch.cls_attention, P), ShapeError);
    CHECK_THROWS_AS(choose_tokens(batch, TokenScore::even, P, rng), ShapeError);
  }
  CHECK_THROWS_AS(best_tokens(Tensor<float>{{5}}, 1), ShapeError);
  CHECK_THROWS_AS(choose_tokens(batch, static_cast<TokenScore>(99), 2, rng), std::invalid_argument);
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(best_tokens(Tensor<float>::full({2, 5}, nan), 3), std::invalid_argument);
}

TEST_CASE("undropped_tokens: CLS and one patch at least are left, and all without a draw",
          "[compress]") {
  Rng rng{.seed = 6};
  for (const double share : {0.0, 0.24}) CHECK(undropped_tokens(3, 5, share, rng).empty());
  CHECK(undropped_tokens(3, 2, 0.9, rng).empty());
  CHECK(rng.position == 0);
  CHECK(undropped_tokens(3, 5, 0.5, rng).shape() == Shape{3, 3});
  const auto least = undropped_tokens(3, 5, 0.999, rng);
  CHECK(least.shape() == Shape{3, 2});
  for (Index b = 0; b < 3; ++b) {
    CHECK(least[2 * b] == 0);
    CHECK(least[2 * b + 1] > 0);
  }
}

}  // namespace splitvit::compress
