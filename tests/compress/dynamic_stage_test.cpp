// SPDX-License-Identifier: MIT
#include <algorithm>

#include <splitvit/compress/adc.hpp>
#include <splitvit/compress/dynamic_stage.hpp>
#include <splitvit/compress/identity.hpp>

#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::compress;

static_assert(CompressionStage<DynamicStage<float>, float>);
static_assert(!CompressionStage<DynamicStage<float>, double>);

TEST_CASE("dynamic_stage: does and says what the stage within does and says", "[compress]") {
  Rng numbers{.seed = 3};
  CutBatch<float> batch{Variable<float>{Tensor<float>{{6, 5, 2}}}, Tensor<float>{{6, 5}},
                        std::vector<Index>{0, 1, 0, 1, 0, 1}};
  for (float& value : batch.tokens.mutable_value().span())
    value = static_cast<float>(numbers.normal());
  for (float& value : batch.cls_attention.span()) value = static_cast<float>(numbers.uniform());
  Rng first{.seed = 1}, second{.seed = 1};
  const auto direct = adc(0.3)(batch, first);
  const DynamicStage<float> stage{adc(0.3)};
  const auto dynamic = stage(batch, second);
  CHECK(std::ranges::equal(direct.tokens.value().span(), dynamic.tokens.value().span()));
  CHECK(first.position == second.position);
  CHECK(stage.description() == adc(0.3).description());
}

TEST_CASE("dynamic_stage: one variable can hold different stages", "[compress]") {
  DynamicStage<float> stage{Identity{}};
  CHECK(stage.description() == "identity");
  stage = adc(0.5);
  CHECK(stage.description() == adc(0.5).description());
}
