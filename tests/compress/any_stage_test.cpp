// SPDX-License-Identifier: MIT
#include <algorithm>
#include <stdexcept>

#include <splitvit/compress/adc.hpp>
#include <splitvit/compress/any_stage.hpp>
#include <splitvit/compress/drop_samples.hpp>
#include <splitvit/compress/then.hpp>

#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::compress;

// A stage as a stranger writes it: in another namespace, with nothing but the concept.
namespace stranger {
struct Refuses {
  splitvit::compress::CutBatch<float> operator()(splitvit::compress::CutBatch<float> batch,
                                                 splitvit::Rng&) const {
    if (batch.tokens.dim(0) > 2) throw std::domain_error("Refuses: more than two samples");
    return batch;
  }
};
}  // namespace stranger

static_assert(CompressionStage<AnyStage<float>, float>);
static_assert(!CompressionStage<AnyStage<float>, double>);

TEST_CASE("any_stage: does and says what the stage within does and says", "[compress]") {
  Rng numbers{.seed = 3};
  CutBatch<float> batch{Variable<float>{Tensor<float>{{6, 5, 2}}}, Tensor<float>{{6, 5}},
                        std::vector<Index>{0, 1, 0, 1, 0, 1}};
  for (float& value : batch.tokens.mutable_value().span())
    value = static_cast<float>(numbers.normal());
  for (float& value : batch.cls_attention.span()) value = static_cast<float>(numbers.uniform());
  Rng first{.seed = 1}, second{.seed = 1};
  const auto direct = adc(0.3)(batch, first);
  const AnyStage<float> stage{adc(0.3)};
  const auto erased = stage(batch, second);
  CHECK(std::ranges::equal(direct.tokens.value().span(), erased.tokens.value().span()));
  CHECK(first.position == second.position);
  CHECK(stage.description() == adc(0.3).description());
}

TEST_CASE("any_stage: one variable can hold different stages", "[compress]") {
  AnyStage<float> stage{Identity{}};
  CHECK(stage.description() == "none");
  stage = adc(0.5);
  CHECK(stage.description() == adc(0.5).description());
}

TEST_CASE("any_stage: in evaluations what makes samples fewer is left out", "[compress]") {
  const auto of = [](AnyStage<float> stage) { return stage.in_evaluation().description(); };
  const SelectTokens select{.keep = 0.4};
  CHECK(of(select) == select.description());
  CHECK(of(MergeSamples{}) == "none");
  CHECK(of(DropSamples{}) == "none");
  CHECK(of(MergeSamples{} | select) == "none," + select.description());
  CHECK(of(then(AnyStage<float>{DropSamples{}}, AnyStage<float>{MergeSamples{} | select})) ==
        "none,none," + select.description());
  CHECK(AnyStage<float>{SelectTokens{.score = TokenScore::received}}
            .in_evaluation()
            .required_statistic() == kernel::TokenStatistic::received);
  CHECK(of(stranger::Refuses{}) == "custom");
}

TEST_CASE("any_stage: a stranger's stage, whose errors pass through", "[compress]") {
  const AnyStage<float> stage{stranger::Refuses{}}, copy = stage;
  Rng rng;
  const auto batch_of = [](Index B) {
    return CutBatch<float>{Variable<float>{Tensor<float>{{B, 3, 2}}}, Tensor<float>{{B, 3}},
                           std::vector<Index>(static_cast<std::size_t>(B), 0)};
  };
  CHECK(copy(batch_of(2), rng).tokens.shape() == Shape{2, 3, 2});
  CHECK_THROWS_WITH(stage(batch_of(3), rng), ContainsSubstring("Refuses: more than two"));
  CHECK(stage.description() == "custom");
  CHECK((Identity{} | stage).description() == "none,custom");
}
