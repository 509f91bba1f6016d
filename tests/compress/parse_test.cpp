// SPDX-License-Identifier: MIT
#include <splitvit/compress/parse.hpp>

#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::compress;

TEST_CASE("parse_stage: texts and the stages that they name", "[compress]") {
  CHECK(parse_stage<float>("none").description() == Identity{}.description());
  CHECK(parse_stage<float>("adc:0.1").description() == adc(0.1).description());
  CHECK(parse_stage<float>("merge:0.25").description() == MergeSamples{.keep = 0.25}.description());
  CHECK(parse_stage<float>("select:1").description() == SelectTokens{.keep = 1}.description());
  CHECK(parse_stage<float>("merge:0.5,select:0.25").description() ==
        (MergeSamples{.keep = 0.5} | SelectTokens{.keep = 0.25}).description());
}

TEST_CASE("parse_stage: what names nothing is refused with what is possible", "[compress]") {
  for (const char* text : {"", "adc", "adc:", "adc:0", "adc:1.5", "adc:-1", "adc:nan", "adc:0.1x",
                           "none:1", "merge:0.5,", ",merge:0.5", "zip:0.5", "Merge:0.5"}) {
    INFO("'" << text << "'");
    CHECK_THROWS_AS(parse_stage<float>(text), std::invalid_argument);
    CHECK_THROWS_WITH(parse_stage<float>(text), ContainsSubstring("possible are none, adc:XI"));
  }
}
