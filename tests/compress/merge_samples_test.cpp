// SPDX-License-Identifier: MIT

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/gradcheck.hpp>
#include <splitvit/autograd/ops/arithmetic.hpp>
#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/autograd/ops/sum.hpp>
#include <splitvit/compress/merge_samples.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"
#include "support/random_batch.hpp"

namespace splitvit::compress {
namespace {

using test::equal_bits;
using test::random_batch;

/// How many samples each cluster has, given numbers in the order of first members.
std::vector<Index> sizes_of(std::span<const Index> ids) {
  std::vector<Index> sizes;
  for (const Index id : ids) {
    REQUIRE(id <= static_cast<Index>(sizes.size()));
    if (id == static_cast<Index>(sizes.size())) sizes.push_back(0);
    ++sizes[static_cast<std::size_t>(id)];
  }
  return sizes;
}

}  // namespace

TEST_CASE("merge_clusters: means worked by hand", "[compress]") {
  const auto x =
      Variable<float>::parameter(Tensor<float>{{3, 2, 1}, std::vector<float>{1, 2, 3, 4, 6, 9}});
  const CutBatch<float> batch{x, Tensor<float>{{3, 2}, std::vector<float>{0.5f, 0.5f, 0, 1, 1, 0}},
                              std::vector<Index>{0, 1, 0}};
  const auto merged = merge_clusters(batch, std::vector<Index>{1, 0, 1}, 2);
  const auto tokens = merged.tokens.value().span();
  CHECK(std::vector(tokens.begin(), tokens.end()) == std::vector<float>{3, 4, 3.5f, 5.5f});
  const auto attention = merged.cls_attention.span();
  CHECK(std::vector(attention.begin(), attention.end()) == std::vector<float>{0, 1, 0.75f, 0.25f});
  CHECK(merged.labels == Labels::from_lists({1, 2}, {1, 0}, RecycledVector<Index>{1, 2}));
  CHECK(
      equal_bits(target_rows<float>(merged.labels, 2), test::tensor<float>({2, 2}, {0, 1, 1, 0})));

  backward(merged.tokens, Tensor<float>{{2, 2, 1}, std::vector<float>{10, 20, 30, 40}});
  const auto dx = x.gradient().span();  // halves for the two that share a cluster
  CHECK(std::vector(dx.begin(), dx.end()) == std::vector<float>{15, 20, 10, 20, 15, 20});
}

TEST_CASE("merge_clusters: a label mean is one division", "[compress]") {
  Rng rng{.seed = 2};
  auto batch = random_batch<float>({.samples = 7, .classes = 2}, rng);
  batch.labels = std::vector<Index>{0, 0, 0, 1, 1, 1, 1};
  const auto merged = merge_clusters(batch, std::vector<Index>(7, 0), 1);
  const auto targets = target_rows<float>(merged.labels, 2);
  CHECK(targets[0] == 3.0f / 7.0f);
  CHECK(targets[1] == 4.0f / 7.0f);
}

TEST_CASE("merge_clusters: gradient agrees with finite differences", "[compress]") {
  Rng rng{.seed = 7};
  const auto batch = random_batch<double>({.samples = 5, .tokens = 3, .width = 2}, rng);
  const std::vector<Index> ids{2, 0, 2, 1, 2};
  const auto through = [&](const Variable<double>& x) {
    // square() so that the incoming gradient is not constant
    return sum(
        square(merge_clusters<double>({x, batch.cls_attention, batch.labels}, ids, 3).tokens));
  };
  CHECK(gradcheck(through, batch.tokens.value(), {.step = 1e-5, .tolerance = 1e-7}));
}

TEST_CASE("MergeSamples: groups what attends alike, first members first", "[compress]") {
  Rng rng{.seed = 4};
  auto batch = random_batch<float>({.samples = 6, .tokens = 4}, rng);
  for (Index b = 0; b < 6; ++b)  // two kinds of attention: 1 0 1 1 0 0
    for (Index j = 0; j < 4; ++j)
      batch.cls_attention[4 * b + j] =
          (b == 0 || b == 2 || b == 3) == (j < 2) ? 0.4f + 0.001f * static_cast<float>(b) : 0.1f;
  for (int run = 0; run < 20; ++run)
    CHECK(MergeSamples{.keep = 0.34, .start = KMeansStart::plus_plus}.clusters_of(
              batch.cls_attention, rng) == std::vector<Index>{0, 1, 0, 0, 1, 1});
}

TEST_CASE("MergeSamples: how many remain", "[compress]") {
  Rng rng{.seed = 6};
  const auto remaining = [&](Index B, const MergeSamples& stage) {
    return stage(random_batch<float>({.samples = B}, rng), rng).samples();
  };
  CHECK(remaining(128, {.keep = 0.25}) == 32);
  CHECK(remaining(100, {.keep = 0.29}) == 28);  // 0.29 is a little less than 29/100
  CHECK(remaining(7, {.keep = 0.5}) == 3);
  CHECK(remaining(8, {.keep = 0.01}) == 2);
  CHECK(remaining(8, {.keep = 0.01, .min_clusters = 5}) == 5);
  CHECK(remaining(3, {.keep = 0.01, .min_clusters = 5}) == 3);
  CHECK(remaining(8, {.keep = 0.01, .min_clusters = 1}) == 1);
  CHECK(remaining(2, {.keep = 0.5}) == 2);
  CHECK(remaining(1, {.keep = 0.5}) == 1);
}

TEMPLATE_TEST_CASE("MergeSamples: clusters are as asked, and share the gradient", "[compress]",
                   float, double) {
  using T = TestType;
  Rng rng{.seed = 9};
  for (int run = 0; run < 200; ++run) {
    const Index B = 1 + rng.below(20), N = 1 + rng.below(12), D = 1 + rng.below(4);
    auto batch = random_batch<T>({.samples = B, .tokens = N, .width = D}, rng);
    if (rng.below(3) == 0)  // few distinct rows
      for (Index b = 3; b < B; ++b)
        std::copy_n(batch.cls_attention.data() + rng.below(3) * N, N,
                    batch.cls_attention.data() + b * N);
    const MergeSamples stage{
        .keep = rng.uniform(0.01, 1.0),
        .min_clusters = 1 + rng.below(4),
        .with_cls_entry = rng.below(2) == 0,
        .min_cluster_size = 1 + rng.below(std::min<Index>(B, 4)),
        .grouping = rng.below(2) == 0 ? Grouping::attention : Grouping::random};
    INFO("run " << run << ": B " << B << " N " << N << " " << stage.description());
    Rng first = rng, second = rng;
    const auto out = stage(batch, first);
    const auto ids = stage.clusters_of(batch.cls_attention, second);
    const auto sizes = sizes_of(ids);  // numbered in the order of first members
    REQUIRE(static_cast<Index>(sizes.size()) == out.samples());
    REQUIRE(*std::ranges::min_element(sizes) >= stage.min_cluster_size);

    // What goes in as gradient comes out as gradient.
    backward(out.tokens, Tensor<T>::full(out.tokens.shape(), T{1}));
    for (Index b = 0; b < B; ++b) {
      const Index m = sizes[static_cast<std::size_t>(ids[static_cast<std::size_t>(b)])];
      REQUIRE(batch.tokens.gradient()[b * N * D] == T{1} / static_cast<T>(m));
    }
    rng.position += 1000;
  }
}

TEST_CASE("MergeSamples: random grouping keeps the sizes and draws the members", "[compress]") {
  Rng rng{.seed = 15};
  const auto attention = test::random_attention<float>(24, 9, rng);
  const MergeSamples by_attention{.keep = 0.3};
  MergeSamples by_chance = by_attention;
  by_chance.grouping = Grouping::random;
  bool differs = false;
  for (int run = 0; run < 20; ++run) {
    Rng first = rng, second = rng;
    const auto ids = by_attention.clusters_of(attention, first);
    const auto drawn = by_chance.clusters_of(attention, second);
    auto sizes = sizes_of(ids), drawn_sizes = sizes_of(drawn);
    std::ranges::sort(sizes);
    std::ranges::sort(drawn_sizes);
    CHECK(sizes == drawn_sizes);
    differs = differs || ids != drawn;
    rng.position += 1000;
  }
  CHECK(differs);
}

TEST_CASE("MergeSamples: with weight_by_size a batch says how many each row stands for",
          "[compress]") {
  Rng rng{.seed = 16};
  const auto batch = random_batch<float>({.samples = 12}, rng);
  MergeSamples stage{.keep = 0.3};
  CHECK(stage(batch, rng).sizes.empty());
  stage.weight_by_size = true;
  Rng same = rng;
  const auto once = stage(batch, rng);
  CHECK(once.sizes == sizes_of(stage.clusters_of(batch.cls_attention, same)));
  stage.keep = 0.7;
  const auto twice = stage(once, rng);  // sizes are added up
  CHECK(twice.samples() == 2);
  CHECK(twice.sizes[0] + twice.sizes[1] == 12);
  CHECK(merge_clusters(once, std::vector<Index>{0, 1, 0}, 2).sizes ==
        std::vector<Index>{once.sizes[0] + once.sizes[2], once.sizes[1]});
}

TEST_CASE("MergeSamples: equal samples become one of them", "[compress]") {
  Rng rng{.seed = 12};
  auto batch = random_batch<float>({.samples = 1, .tokens = 5}, rng);
  CutBatch<float> many{Variable<float>::parameter(Tensor<float>{{6, 5, 6}}), Tensor<float>{{6, 5}},
                       batch.labels.gather(std::vector<Index>(6, 0))};
  for (Index b = 0; b < 6; ++b) {
    std::ranges::copy(batch.tokens.value().span(), many.tokens.mutable_value().data() + b * 30);
    std::ranges::copy(batch.cls_attention.span(), many.cls_attention.data() + b * 5);
  }
  auto merged = MergeSamples{}(many, rng);
  CHECK(equal_bits(target_rows<float>(merged.labels, 5), target_rows<float>(batch.labels, 5)));
  merged.labels = batch.labels;  // the merged row counts six samples
  CHECK(equal_bits(merged, batch));
}

TEST_CASE("MergeSamples: without the CLS entry it sees patches only", "[compress]") {
  Rng rng{.seed = 13};
  // Entry 0 says {0 2} {1 3}, the patches, once divided by their sum, say {0 1} {2 3}.
  const Tensor<double> attention{
      {4, 3}, std::vector<double>{.9, .08, .02, .1, .72, .18, .9, .02, .08, .1, .18, .72}};
  const MergeSamples with{.start = KMeansStart::plus_plus, .stop = KMeansStop::fixpoint};
  MergeSamples without = with;
  without.with_cls_entry = false;
  CHECK(without.clusters_of(attention, rng) == std::vector<Index>{0, 0, 1, 1});
  CHECK(with.clusters_of(attention, rng) != std::vector<Index>{0, 0, 1, 1});
  // All attention on CLS, or no patch at all: nothing to compare, so one cluster.
  CHECK(without.clusters_of(Tensor<double>{{3, 2}, std::vector<double>{1, 0, 1, 0, 1, 0}}, rng) ==
        std::vector<Index>{0, 0, 0});
  CHECK(without.clusters_of(Tensor<double>{{3, 1}, std::vector<double>{1, 1, 1}}, rng) ==
        std::vector<Index>{0, 0, 0});
}

TEST_CASE("MergeSamples: small clusters join the nearest one", "[compress]") {
  const Tensor<double> rows{{6, 1}, std::vector<double>{0, 1, 10, 20, 21, 22}};
  const RecycledVector<Index> found{0, 0, 1, 2, 2, 2};
  const auto joined = [&](Index least) {
    RecycledVector<Index> ids = found;
    detail::join_small_clusters(rows, 3, least, ids);
    return ids;
  };
  // 10 is nearer to 0.5 than to 21; then {0 1 10} and {20 21 22} are large enough.
  CHECK(joined(2) == std::vector<Index>{0, 0, 0, 1, 1, 1});
  CHECK(joined(3) == std::vector<Index>{0, 0, 0, 1, 1, 1});
  CHECK(joined(4) == std::vector<Index>(6, 0));
  CHECK(joined(1) == found);
}

TEST_CASE("MergeSamples: description holds every option", "[compress]") {
  CHECK(MergeSamples{.keep = 0.1}.description() ==
        "merge:0.1:min_clusters=2:max_iterations=50:tolerance=1e-04:start=random:stop=shift:"
        "with_cls_entry=yes:min_cluster_size=1:grouping=attention:weight_by_size=no");
}

TEST_CASE("MergeSamples: misuse", "[compress]") {
  Rng rng;
  const auto batch = random_batch<float>({.samples = 4}, rng);
  const auto run = [&](const MergeSamples& stage) { return stage(batch, rng); };
  CHECK_THROWS_AS(run({.min_clusters = 0}), std::invalid_argument);
  CHECK_THROWS_AS(run({.max_iterations = 0}), std::invalid_argument);
  CHECK_THROWS_AS(run({.tolerance = std::nan("")}), std::invalid_argument);
  CHECK_THROWS_AS(run({.min_cluster_size = 0}), std::invalid_argument);
  CHECK_THROWS_WITH(run({.min_cluster_size = 5}), ContainsSubstring("4 samples"));
  // Options are checked even where nothing would be clustered.
  CHECK_THROWS_AS(run({.keep = 1.0, .max_iterations = 0}), std::invalid_argument);

  CHECK_THROWS_AS(merge_clusters(batch, std::vector<Index>{0, 0, 0}, 1), ShapeError);
  CHECK_THROWS_AS(merge_clusters(batch, std::vector<Index>{0, 0, 0, 2}, 2), std::invalid_argument);
  CHECK_THROWS_AS(merge_clusters(batch, std::vector<Index>{0, 0, 0, -1}, 1), std::invalid_argument);
  CHECK_THROWS_AS(merge_clusters(batch, std::vector<Index>{0, 0, 0, 0}, 5), std::invalid_argument);
  CHECK_THROWS_WITH(merge_clusters(batch, std::vector<Index>{0, 0, 2, 0}, 3),
                    ContainsSubstring("cluster 1 is empty"));
}

}  // namespace splitvit::compress
