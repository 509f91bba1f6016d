// SPDX-License-Identifier: MIT
#include <stdexcept>

#include <splitvit/spec/method.hpp>

#include "support/catch.hpp"

using namespace splitvit;
using spec::parse_method;

TEST_CASE("parse_method: stages, bottleneck and codec, each of which may be left out", "[spec]") {
  const auto whole =
      parse_method<float>("merge:0.5,select:0.3,bottleneck:0.25:layers=3:decoder_relu=yes@q:4");
  CHECK(whole.stage.description() ==
        spec::parse_stage<float>("merge:0.5,select:0.3").description());
  CHECK(whole.bottleneck ==
        nn::BottleneckOptions{.ratio = 0.25, .layers = 3, .decoder_relu = true});
  CHECK(whole.codec.description() == spec::parse_codec<float>("q:4").description());

  const auto stage_only = parse_method<double>("adc:0.1");
  CHECK(stage_only.stage.description() == spec::parse_stage<double>("adc:0.1").description());
  CHECK(!stage_only.bottleneck);
  CHECK(stage_only.codec.description() == spec::parse_codec<double>("float32").description());

  CHECK(parse_method<float>("none,bottleneck:0.5").bottleneck->ratio == 0.5);
  const auto bottleneck_only = parse_method<float>("bottleneck:0.1:start=pca:frozen=yes");
  CHECK(bottleneck_only.stage.description() == spec::parse_stage<float>("none").description());
  CHECK(bottleneck_only.bottleneck ==
        nn::BottleneckOptions{
            .ratio = 0.1, .layers = 1, .frozen = true, .start = nn::BottleneckStart::pca});
}

TEST_CASE("parse_method: feedback stands before or after a bottleneck", "[spec]") {
  CHECK(parse_method<float>("adc:0.1@q:8").feedback == nn::Feedback{});
  for (const char* const text : {"adc:0.1,feedback:every:4,bottleneck:0.5@q:4",
                                 "adc:0.1,bottleneck:0.5,feedback:every:4@q:4"}) {
    const auto method = parse_method<float>(text);
    CHECK(method.feedback == nn::Feedback{.every = 4});
    CHECK(method.bottleneck->ratio == 0.5);
    CHECK(method.stage.description() == spec::parse_stage<float>("adc:0.1").description());
  }
  const auto alone = parse_method<float>("feedback:local");
  CHECK(alone.feedback == nn::Feedback{.every = 0});
  CHECK(alone.stage.description() == spec::parse_stage<float>("none").description());
  CHECK_THROWS_WITH(parse_method<float>("feedback:local,adc:0.1"),
                    ContainsSubstring("has feedback before a stage, or twice"));
  CHECK_THROWS_WITH(parse_method<float>("feedback:local,feedback:local"),
                    ContainsSubstring("has feedback before a stage, or twice"));
  CHECK_THROWS_WITH(parse_method<float>("adc:0.1,feedback:often"),
                    ContainsSubstring("wanted gradient, local, or every:K"));
}

TEST_CASE("parse_method: complaints name the part and what is possible", "[spec]") {
  CHECK_THROWS_WITH(parse_method<float>("bottleneck"),
                    ContainsSubstring("needs a value behind its name"));
  CHECK_THROWS_WITH(parse_method<float>("bottleneck:1.5"),
                    ContainsSubstring("wanted a number in (0, 1]"));
  CHECK_THROWS_WITH(parse_method<float>("bottleneck:0.1:width=3"),
                    ContainsSubstring("an option 'width'") && ContainsSubstring("[:layers=COUNT]"));
  CHECK_THROWS_WITH(parse_method<float>("bottleneck:0.1:start=pca:layers=2"),
                    ContainsSubstring("has layers '2', wanted 1;"));
  for (const char* const text : {"bottleneck:0.1,select:0.3", "bottleneck:0.1,bottleneck:0.2"})
    CHECK_THROWS_WITH(parse_method<float>(text),
                      ContainsSubstring("has bottleneck before a stage, or twice"));
  CHECK_THROWS_AS(parse_method<float>(",bottleneck:0.2"), std::invalid_argument);
  CHECK_THROWS_AS(parse_method<float>("adc:0.1@"), std::invalid_argument);
  CHECK_THROWS_AS(parse_method<float>(""), std::invalid_argument);
}
