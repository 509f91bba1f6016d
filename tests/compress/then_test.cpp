// SPDX-License-Identifier: MIT

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/gradcheck.hpp>
#include <splitvit/autograd/ops/arithmetic.hpp>
#include <splitvit/autograd/ops/sum.hpp>
#include <splitvit/compress/any_stage.hpp>
#include <splitvit/compress/merge_samples.hpp>
#include <splitvit/compress/merge_tokens.hpp>
#include <splitvit/compress/select_tokens.hpp>
#include <splitvit/compress/then.hpp>

#include "support/catch.hpp"
#include "support/random_batch.hpp"

namespace splitvit::compress {
namespace {

using test::equal_bits;
using test::random_batch;

/// A stage without a description, for one element type.
struct Plain {
  CutBatch<float> operator()(CutBatch<float> batch, Rng&) const { return batch; }
};

}  // namespace

TEMPLATE_TEST_CASE("then: the identity changes nothing", "[compress]", float, double) {
  Rng rng{.seed = 1};
  const auto batch = random_batch<TestType>({.samples = 12}, rng);
  const auto merge = MergeSamples{.keep = 0.4};
  const auto select = SelectTokens{.keep = 0.4};
  const auto result = [&](const auto& stage) {
    Rng same = rng;
    return stage(batch, same);
  };
  CHECK(equal_bits(result(Identity{}), batch));
  CHECK(equal_bits(result(Identity{} | merge), result(merge)));
  CHECK(equal_bits(result(merge | Identity{}), result(merge)));
  CHECK(equal_bits(result(Identity{} | select), result(select)));
  CHECK(equal_bits(result(select | Identity{}), result(select)));
  CHECK(equal_bits(result(Identity{} | Identity{}), batch));
  CHECK(equal_bits(result(MergeSamples{.keep = 1.0} | SelectTokens{.keep = 1.0}), batch));
}

TEST_CASE("then: grouping plays no role", "[compress]") {
  Rng rng{.seed = 2};
  const auto batch = random_batch<float>({.samples = 16, .tokens = 20}, rng);
  const MergeSamples merge{.keep = 0.5};
  const SelectTokens select{.keep = 0.5};
  Rng first = rng, second = rng;
  const auto left = ((merge | merge) | select)(batch, first);
  const auto right = (merge | (merge | select))(batch, second);
  CHECK(equal_bits(left, right));
  CHECK(left.samples() == 4);
  CHECK(left.token_count() == 10);
  CHECK(first.position == second.position);
}

TEST_CASE("then: the second stage ranks what the first one returns", "[compress]") {
  Rng rng{.seed = 3};
  const auto batch = random_batch<float>({.samples = 6}, rng);
  Rng same = rng;
  const auto merged = MergeSamples{}(batch, same);
  const auto selected = SelectTokens{}(merged, same);
  CHECK(equal_bits((MergeSamples{} | SelectTokens{})(batch, rng), selected));
}

TEST_CASE("then: gradient agrees with finite differences", "[compress]") {
  Rng rng{.seed = 4};
  const auto batch = random_batch<double>({.samples = 6, .tokens = 5, .width = 2}, rng);
  const auto through = [&](const Variable<double>& x) {
    Rng same = rng;
    const CutBatch<double> moved{x, batch.cls_attention, batch.labels};
    const auto stage = MergeSamples{.keep = 0.5} | SelectTokens{.keep = 0.6};
    // square() so that the incoming gradient is not constant
    return sum(square(stage(moved, same).tokens));
  };
  CHECK(gradcheck(through, batch.tokens.value(), {.step = 1e-5, .tolerance = 1e-7}));
}

TEST_CASE("then: wants of the model what its stages want", "[compress]") {
  const SelectTokens received{.score = TokenScore::received};
  const MergeTokens keys{.features = TokenFeatures::keys};
  using kernel::TokenStatistic;
  CHECK(required_statistic_of(Plain{} | Identity{}) == TokenStatistic::none);
  CHECK(required_statistic_of(Plain{} | received) == TokenStatistic::received);
  CHECK(required_statistic_of(keys | SelectTokens{}) == TokenStatistic::keys);
  CHECK(required_statistic_of(received | received) == TokenStatistic::received);
  CHECK(AnyStage<float>{Identity{} | received}.required_statistic() == TokenStatistic::received);
  CHECK_THROWS_WITH((received | keys).required_statistic(), ContainsSubstring("a batch has one"));
}

TEST_CASE("then: description names both", "[compress]") {
  CHECK((Identity{} | SelectTokens{.keep = 0.25}).description() ==
        "none,select:0.25:score=attention:rest=none");
  CHECK((Plain{} | Identity{}).description() == "custom,none");
}

TEST_CASE("Identity: returns the batch as it is", "[compress]") {
  Rng rng{.seed = 1};
  const auto batch = test::random_batch<float>({}, rng);
  const Rng before = rng;
  const auto out = Identity{}(batch, rng);
  CHECK(test::equal_bits(out, batch));
  CHECK(out.tokens.node() == batch.tokens.node());
  CHECK(rng.position == before.position);
}

}  // namespace splitvit::compress
