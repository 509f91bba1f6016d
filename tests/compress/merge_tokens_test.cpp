// SPDX-License-Identifier: MIT

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/compress/drop_samples.hpp>
#include <splitvit/compress/merge_samples.hpp>
#include <splitvit/compress/merge_tokens.hpp>
#include <splitvit/compress/select_tokens.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"
#include "support/random_batch.hpp"

namespace splitvit::compress {
namespace {

using test::equal_bits;
using test::random_batch;
using test::tensor;

/// A token, or several merged ones, of the plain version.
struct PlainToken {
  std::vector<double> mean;
  double size = 1;
  std::set<Index> members;
};

double cosine(const PlainToken& a, const PlainToken& b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t d = 0; d < a.mean.size(); ++d) {
    ab += a.mean[d] * b.mean[d];
    aa += a.mean[d] * a.mean[d];
    bb += b.mean[d] * b.mean[d];
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0.0;
}

/// Merges as the definition says, with size-weighted means of features.
std::vector<Index> plain_groups(const double* x, Index N, Index D, Index P) {
  std::vector<PlainToken> tokens;
  for (Index j = 0; j < N; ++j) tokens.push_back({{x + j * D, x + (j + 1) * D}, 1, {j}});
  while (static_cast<Index>(tokens.size()) > P) {
    const auto count = static_cast<Index>(tokens.size());
    const Index merges = std::min((count - 1) / 2, count - P);
    std::vector<std::pair<double, std::pair<std::size_t, std::size_t>>> pairs;
    for (std::size_t a = 2; a < tokens.size(); a += 2) {
      std::size_t best = 1;
      for (std::size_t b = 3; b < tokens.size(); b += 2)
        if (cosine(tokens[a], tokens[b]) > cosine(tokens[a], tokens[best])) best = b;
      pairs.push_back({-cosine(tokens[a], tokens[best]), {a, best}});
    }
    std::ranges::sort(pairs);
    std::set<std::size_t> gone;
    for (Index i = 0; i < merges; ++i) {
      const auto [a, b] = pairs[static_cast<std::size_t>(i)].second;
      PlainToken& into = tokens[b];
      for (std::size_t d = 0; d < into.mean.size(); ++d)
        into.mean[d] = (into.size * into.mean[d] + tokens[a].size * tokens[a].mean[d]) /
                       (into.size + tokens[a].size);
      into.size += tokens[a].size;
      into.members.merge(tokens[a].members);
      gone.insert(a);
    }
    std::vector<PlainToken> left;
    for (std::size_t i = 0; i < tokens.size(); ++i)
      if (!gone.contains(i)) left.push_back(tokens[i]);
    std::ranges::sort(left, {}, [](const PlainToken& t) { return *t.members.begin(); });
    tokens = std::move(left);
  }
  std::vector<Index> ids(static_cast<std::size_t>(N));
  for (std::size_t p = 0; p < tokens.size(); ++p)
    for (const Index j : tokens[p].members)
      ids[static_cast<std::size_t>(j)] = static_cast<Index>(p);
  return ids;
}

std::vector<Index> groups_in(const Tensor<Index>& ids) {
  return {ids.span().begin(), ids.span().end()};
}

}  // namespace

TEST_CASE("like_tokens: one round, worked by hand", "[compress]") {
  // places        0       1       2       3       4
  // Patch 2 is most like 3, patch 4 most like 1 and less so.
  const auto x = tensor<double>({1, 5, 2}, {9, 9, 1, 0, 0, 1, 0, 2, 3, 1});
  CHECK(groups_in(like_tokens(x, 4)) == std::vector<Index>{0, 1, 2, 2, 3});
  CHECK(groups_in(like_tokens(x, 3)) == std::vector<Index>{0, 1, 2, 2, 1});
  // Next round: {1 4} and {2 3} lie at places 1 and 2.
  CHECK(groups_in(like_tokens(x, 2)) == std::vector<Index>{0, 1, 1, 1, 1});
  CHECK(groups_in(like_tokens(x, 5)) == std::vector<Index>{0, 1, 2, 3, 4});
}

TEST_CASE("like_tokens: the lowest wins a tie", "[compress]") {
  const auto equal = Tensor<float>::full({1, 8, 3}, 2.0f);
  // Patches 2, 4 and 6 are equally like 1, 3, 5 and 7: 2 goes first, and to 1.
  CHECK(groups_in(like_tokens(equal, 7)) == std::vector<Index>{0, 1, 1, 2, 3, 4, 5, 6});
  CHECK(groups_in(like_tokens(equal, 5)) == std::vector<Index>{0, 1, 1, 2, 1, 3, 1, 4});
  CHECK(groups_in(like_tokens(Tensor<float>{{1, 4, 3}}, 3)) == std::vector<Index>{0, 1, 1, 2});
}

TEST_CASE("like_tokens: agrees with the plain version", "[compress]") {
  Rng rng{.seed = 3};
  for (int run = 0; run < 100; ++run) {
    const Index N = 2 + rng.below(30), D = 2 + rng.below(12), P = 2 + rng.below(N - 1);
    const auto x = test::drawn<double>({2, N, D}, rng);
    const auto ids = like_tokens(x, P);
    for (Index b = 0; b < 2; ++b) {
      INFO("N " << N << " D " << D << " P " << P);
      REQUIRE(plain_groups(x.data() + b * N * D, N, D, P) ==
              std::vector(ids.data() + b * N, ids.data() + (b + 1) * N));
    }
  }
}

TEST_CASE("like_tokens: how long a token is plays no role", "[compress]") {
  Rng rng{.seed = 4};
  auto x = test::drawn<double>({1, 12, 5}, rng);
  const auto ids = like_tokens(x, 7);  // one round
  for (Index j = 0; j < 12; ++j)
    for (Index d = 0; d < 5; ++d) x[j * 5 + d] = std::ldexp(x[j * 5 + d], static_cast<int>(j) - 6);
  CHECK(test::equal_bits(like_tokens(x, 7), ids));
}

TEST_CASE("merge_token_groups: means and sums, worked by hand", "[compress]") {
  const auto x = Variable<float>::parameter(tensor<float>({1, 5, 1}, {9, 1, 2, 4, 6}));
  const CutBatch<float> batch{x, tensor<float>({1, 5}, {.5f, .125f, .125f, 0, .25f}),
                              std::vector<Index>{0}};
  const Tensor<Index> ids{{1, 5}, std::vector<Index>{0, 1, 2, 1, 1}};
  const auto out = merge_token_groups(batch, ids, 3);
  CHECK(equal_bits(out.tokens.value(), tensor<float>({1, 3, 1}, {9, 11.0f / 3.0f, 2})));
  CHECK(equal_bits(out.cls_attention, tensor<float>({1, 3}, {.5f, .375f, .125f})));
  CHECK(out.labels == batch.labels);
  backward(out.tokens, tensor<float>({1, 3, 1}, {10, 30, 20}));
  CHECK(equal_bits(x.gradient(), tensor<float>({1, 5, 1}, {10, 10, 20, 10, 10})));
}

TEST_CASE("MergeTokens: sizes follow the tokens through later stages", "[compress]") {
  Rng rng{.seed = 12};
  const auto batch = random_batch<float>({.samples = 4, .tokens = 9}, rng);
  const MergeTokens stage{.keep = 0.5, .send_sizes = true};
  CHECK(MergeTokens{.keep = 0.5}(batch, rng).token_sizes.empty());
  const auto merged = stage(batch, rng);
  const auto ids = like_tokens(batch.tokens.value(), 4);
  REQUIRE(merged.token_sizes.shape() == Shape{4, 4});
  for (Index i = 0; i < 16; ++i)
    CHECK(merged.token_sizes[i] ==
          static_cast<float>(
              std::count(ids.data() + i / 4 * 9, ids.data() + (i / 4 + 1) * 9, i % 4)));
  const std::vector<Index> tokens{0, 3}, samples{2};
  const auto selected = gather_tokens<float>(merged, tokens);
  CHECK(selected.token_sizes[3] == merged.token_sizes[7]);
  const auto dropped = gather_samples<float>(merged, samples);
  CHECK(dropped.token_sizes[1] == merged.token_sizes[9]);
  const std::vector<Index> pairs{0, 0, 1, 1};
  const auto averaged = merge_clusters<float>(merged, pairs, 2);
  CHECK(averaged.token_sizes[1] == (merged.token_sizes[1] + merged.token_sizes[5]) / 2);
  CHECK_THROWS_AS(stage(merged, rng), std::invalid_argument);
  CHECK_THROWS_AS((SelectTokens{.keep = 0.75, .rest = RestToken::mean}(merged, rng)),
                  std::invalid_argument);
}

TEST_CASE("merge_token_groups: size 1 everywhere is the identity", "[compress]") {
  Rng rng{.seed = 5};
  const auto batch = random_batch<double>({.samples = 3, .tokens = 7}, rng);
  Tensor<Index> ids{{3, 7}};
  for (Index i = 0; i < 21; ++i) ids[i] = i % 7;
  const auto out = merge_token_groups(batch, ids, 7);
  CHECK(equal_bits(out, batch));
  const auto gradient = test::drawn<double>({3, 7, 6}, rng);
  backward(out.tokens, gradient);
  CHECK(equal_bits(batch.tokens.gradient(), gradient));
}

TEST_CASE("MergeTokens: how many remain, and that CLS is one of them", "[compress]") {
  Rng rng{.seed = 6};
  for (const double keep : {0.01, 0.1, 0.3, 0.5, 0.8, 1.0})
    for (const Index N : {1, 2, 3, 4, 17, 50}) {
      const auto batch = random_batch<float>({.samples = 2, .tokens = N, .width = 8}, rng);
      const auto out = MergeTokens{.keep = keep}(batch, rng);
      CHECK(out.token_count() == kept_count(keep, N, 1));
      for (Index b = 0; b < 2; ++b) {
        CHECK(out.cls_attention[b * out.token_count()] == batch.cls_attention[b * N]);
        CHECK(std::equal(out.tokens.value().data() + b * out.token_count() * 8,
                         out.tokens.value().data() + b * out.token_count() * 8 + 8,
                         batch.tokens.value().data() + b * N * 8));
      }
    }
}

TEST_CASE("MergeTokens: samples do not see each other", "[compress]") {
  Rng rng{.seed = 7};
  const auto batch = random_batch<float>({.samples = 3, .tokens = 15}, rng);
  const auto ids = like_tokens(batch.tokens.value(), 6);
  for (Index b = 0; b < 3; ++b) {
    const auto own = batch.tokens.value().view().slice(b, b + 1);
    CHECK(groups_in(like_tokens(Tensor<float>{own.shape(), own.span()}, 6)) ==
          std::vector(ids.data() + b * 15, ids.data() + (b + 1) * 15));
  }
}

TEST_CASE("MergeTokens: compares keys where it is told to", "[compress]") {
  Rng rng{.seed = 9};
  auto batch = random_batch<double>({.samples = 3, .tokens = 12, .width = 4}, rng);
  batch.statistics = test::drawn<double>({3, 12, 2}, rng);
  const MergeTokens by_keys{.keep = 0.5, .features = TokenFeatures::keys};
  const auto wanted = merge_token_groups(batch, like_tokens(batch.statistics, 6), 6);
  const auto merged = by_keys(batch, rng);
  CHECK(equal_bits(merged, wanted));
  CHECK_FALSE(equal_bits(merged, MergeTokens{.keep = 0.5}(batch, rng)));
  CHECK(merged.statistics.empty());
  batch.statistics = {};
  CHECK_THROWS_WITH(by_keys(batch, rng), ContainsSubstring("no keys to compare"));
}

TEST_CASE("MergeTokens: description holds every option", "[compress]") {
  CHECK(MergeTokens{.keep = 0.25}.description() ==
        "merge-tokens:0.25:features=tokens:send_sizes=no");
}

TEST_CASE("MergeTokens: misuse", "[compress]") {
  Rng rng{.seed = 8};
  const auto batch = random_batch<float>({.samples = 1, .tokens = 4}, rng);
  const auto& x = batch.tokens.value();
  CHECK_THROWS_AS(like_tokens(x, 1), ShapeError);
  CHECK_THROWS_AS(like_tokens(x, 5), ShapeError);
  CHECK_THROWS_AS(like_tokens(Tensor<float>{{4, 4}}, 2), ShapeError);
  const auto merge = [&](const std::vector<Index>& ids, Index P) {
    return merge_token_groups(
        batch, Tensor<Index>{{1, static_cast<Index>(ids.size())}, std::span{ids}}, P);
  };
  CHECK_THROWS_AS(merge({0, 1, 1}, 2), ShapeError);
  CHECK_THROWS_AS(merge({0, 1, 1, 2}, 2), std::invalid_argument);
  CHECK_THROWS_AS(merge({0, 1, 1, -1}, 2), std::invalid_argument);
  CHECK_THROWS_AS(merge({0, 1, 1, 1}, 0), std::invalid_argument);
  CHECK_THROWS_AS(merge({0, 1, 2, 3}, 5), std::invalid_argument);
  CHECK_THROWS_WITH(merge({0, 1, 1, 3}, 4), ContainsSubstring("group 2 is empty"));
  CHECK_THROWS_WITH(merge({0, 0, 1, 1}, 2), ContainsSubstring("CLS must be alone"));
  CHECK_THROWS_WITH(merge({1, 0, 1, 1}, 2), ContainsSubstring("CLS must be alone"));
}

}  // namespace splitvit::compress
