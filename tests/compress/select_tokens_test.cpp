// SPDX-License-Identifier: MIT

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/gradcheck.hpp>
#include <splitvit/autograd/ops/arithmetic.hpp>
#include <splitvit/autograd/ops/sum.hpp>
#include <splitvit/compress/select_tokens.hpp>

#include "support/catch.hpp"
#include "support/random_batch.hpp"

namespace splitvit::compress {
namespace {

using test::random_batch;
using test::same_bits;

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

}  // namespace

TEST_CASE("SelectTokens: keeps CLS and the largest, in order", "[compress]") {
  Rng rng;
  const auto x = Variable<float>::parameter(
      Tensor<float>{{2, 4, 1}, std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}});
  const CutBatch<float> batch{
      x, Tensor<float>{{2, 4}, std::vector<float>{0, .1f, .3f, .2f, .7f, .2f, .1f, .1f}},
      Tensor<float>{{2, 2}, std::vector<float>{1, 0, 0, 1}}};
  const auto out = SelectTokens{.keep = 0.75}(batch, rng);
  const auto tokens = out.tokens.value().span();
  CHECK(std::vector(tokens.begin(), tokens.end()) == std::vector<float>{1, 3, 4, 5, 6, 7});
  const auto attention = out.cls_attention.span();  // not rescaled; of equal ones the lower
  CHECK(std::vector(attention.begin(), attention.end()) ==
        std::vector<float>{0, .3f, .2f, .7f, .2f, .1f});
  CHECK(same_bits(out.targets, batch.targets));

  backward(out.tokens, Tensor<float>{{2, 3, 1}, std::vector<float>{1, 2, 3, 4, 5, 6}});
  const auto dx = x.gradient().span();
  CHECK(std::vector(dx.begin(), dx.end()) == std::vector<float>{1, 0, 2, 3, 4, 5, 6, 0});
}

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

TEST_CASE("SelectTokens: keep everything is the identity", "[compress]") {
  Rng rng{.seed = 6};
  const auto batch = random_batch<double>({}, rng);
  const auto out = SelectTokens{.keep = 1.0}(batch, rng);
  CHECK(same_bits(out, batch));
  CHECK(out.tokens.node() == batch.tokens.node());
}

TEST_CASE("SelectTokens: draws nothing, and leaves its input alone", "[compress]") {
  Rng rng{.seed = 7};
  const auto batch = random_batch<float>({}, rng);
  const auto copy = batch.tokens.value();
  const Rng before = rng;
  const auto out = SelectTokens{.keep = 0.3}(batch, rng);
  CHECK(rng.position == before.position);
  CHECK(same_bits(batch.tokens.value(), copy));
  CHECK(out.token_count() == 5);
}

TEST_CASE("SelectTokens: gradient agrees with finite differences", "[compress]") {
  Rng rng{.seed = 8};
  const auto batch = random_batch<double>({.samples = 3, .tokens = 6, .width = 2}, rng);
  const auto through = [&](const Variable<double>& x) {
    // square() so that the incoming gradient is not constant
    const CutBatch<double> moved{x, batch.cls_attention, batch.targets};
    return sum(square(SelectTokens{.keep = 0.5}(moved, rng).tokens));
  };
  CHECK(gradcheck(through, batch.tokens.value(), {.step = 1e-5, .tolerance = 1e-7}));
}

TEMPLATE_TEST_CASE("SelectTokens: any finite batch", "[compress]", float, double) {
  using T = TestType;
  Rng rng{.seed = 9};
  for (int run = 0; run < 200; ++run) {
    const Index B = 1 + rng.below(6), N = 1 + rng.below(20), D = rng.below(5);
    auto batch = random_batch<T>({.samples = B, .tokens = N, .width = D}, rng);
    if (rng.below(3) == 0) batch.cls_attention = Tensor<T>::full({B, N}, T{});
    if (rng.below(3) == 0)
      for (T& v : batch.cls_attention.span())
        v = std::numeric_limits<T>::max() * static_cast<T>(rng.uniform(-1.0, 1.0));
    const auto out = SelectTokens{.keep = rng.uniform(0.01, 1.0)}(batch, rng);
    REQUIRE(out.samples() == B);
    REQUIRE(out.token_count() <= N);
    REQUIRE(out.width() == D);
    REQUIRE(out.cls_attention.shape() == Shape{B, out.token_count()});
    REQUIRE(same_bits(out.targets, batch.targets));
    for (Index b = 0; b < B; ++b)  // CLS is still first
      for (Index d = 0; d < D; ++d)
        REQUIRE(out.tokens.value()[b * out.token_count() * D + d] ==
                batch.tokens.value()[b * N * D + d]);
  }
}

TEST_CASE("SelectTokens: the same bits for any number of threads", "[compress]") {
  Rng rng{.seed = 10};
  const auto batch = random_batch<float>({.samples = 40, .tokens = 33, .width = 50}, rng);
  const auto gradient = test::random_normal<float>({40, 16, 50}, rng);
  const auto run = [&](int threads) {
    return with_threads(threads, [&] {
      CutBatch<float> fresh = batch;
      fresh.tokens = Variable<float>::parameter(batch.tokens.value());
      const auto out = SelectTokens{}(fresh, rng);
      backward(out.tokens, gradient);
      return std::pair{out, fresh.tokens.gradient()};
    });
  };
  const auto once = run(1);
  for (const int threads : {2, 3, 8}) {
    const auto again = run(threads);
    CHECK(same_bits(again.first, once.first));
    CHECK(same_bits(again.second, once.second));
  }
}

TEST_CASE("gather_tokens: any order, one choice for all or one for each", "[compress]") {
  Rng rng{.seed = 11};
  const auto batch = random_batch<float>({.samples = 3, .tokens = 5, .width = 2}, rng);
  const std::vector<Index> same{0, 4, 2};
  const Tensor<Index> each{{3, 3}, std::vector<Index>{0, 4, 2, 0, 4, 2, 0, 4, 2}};
  CHECK(same_bits(gather_tokens(batch, same), gather_tokens(batch, each)));
  CHECK(gather_tokens(batch, same).cls_attention[1] == batch.cls_attention[4]);
}

TEST_CASE("SelectTokens: misuse", "[compress]") {
  Rng rng{.seed = 12};
  const auto batch = random_batch<float>({.samples = 2, .tokens = 5}, rng);
  CHECK_THROWS_AS(SelectTokens{.keep = 0.0}(batch, rng), std::invalid_argument);
  CHECK_THROWS_AS(SelectTokens{.keep = 1.01}(batch, rng), std::invalid_argument);
  CHECK_THROWS_AS(SelectTokens{.keep = std::nan("")}(batch, rng), std::invalid_argument);
  auto bad = batch;
  bad.cls_attention[9] = std::numeric_limits<float>::infinity();
  CHECK_THROWS_AS(SelectTokens{}(bad, rng), std::invalid_argument);
  bad.cls_attention = Tensor<float>{{2, 4}};
  CHECK_THROWS_AS(SelectTokens{}(bad, rng), ShapeError);

  const auto gather = [&](const Shape& shape, const std::vector<Index>& index) {
    return gather_tokens(batch, Tensor<Index>{shape, index});
  };
  CHECK_THROWS_AS(gather({1, 2}, {0, 1}), ShapeError);
  CHECK_THROWS_AS(gather({2, 0}, {}), ShapeError);
  CHECK_THROWS_AS(gather({2, 6}, std::vector<Index>(12)), ShapeError);
  CHECK_THROWS_AS(gather({2, 2}, {0, 1, 0, 5}), std::invalid_argument);
  CHECK_THROWS_AS(gather({2, 2}, {0, 1, 0, -1}), std::invalid_argument);
  CHECK_THROWS_WITH(gather({2, 2}, {0, 1, 1, 0}), ContainsSubstring("CLS"));
  CHECK_THROWS_WITH(gather({2, 3}, {0, 1, 2, 0, 3, 3}), ContainsSubstring("comes twice"));
  CHECK_THROWS_AS(gather_tokens(batch, std::vector<Index>{}), ShapeError);
  CHECK_THROWS_AS(best_tokens(batch.cls_attention, 0), ShapeError);
  CHECK_THROWS_AS(best_tokens(batch.cls_attention, 6), ShapeError);
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(best_tokens(Tensor<float>::full({2, 5}, nan), 3), std::invalid_argument);
}

}  // namespace splitvit::compress
