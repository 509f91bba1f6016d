// SPDX-License-Identifier: MIT
#include <splitvit/spec/stages.hpp>

#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::compress;
using spec::parse_stage;

namespace {

std::string described(const char* text) { return parse_stage<float>(text).description(); }

}  // namespace

TEST_CASE("parse_stage: texts and the stages that they name", "[spec]") {
  CHECK(described("none") == Identity{}.description());
  CHECK(described("adc:0.1") == adc(0.1).description());
  CHECK(described("merge:0.25") == MergeSamples{.keep = 0.25}.description());
  CHECK(described("drop:0.25") == DropSamples{.keep = 0.25}.description());
  CHECK(described("select:1") == SelectTokens{.keep = 1}.description());
  CHECK(described("merge-tokens:0.3") == MergeTokens{.keep = 0.3}.description());
  CHECK(described("merge:0.5,select:0.25") ==
        (MergeSamples{.keep = 0.5} | SelectTokens{.keep = 0.25}).description());
}

TEST_CASE("parse_stage: options go to the members of their names", "[spec]") {
  CHECK(described("merge:0.5:min_clusters=3:max_iterations=7:tolerance=1e-3:start=plus_plus:"
                  "stop=fixpoint:with_cls_entry=no:min_cluster_size=4:grouping=random:"
                  "weight_by_size=yes") == MergeSamples{.keep = 0.5,
                                                        .min_clusters = 3,
                                                        .max_iterations = 7,
                                                        .tolerance = 1e-3,
                                                        .start = KMeansStart::plus_plus,
                                                        .stop = KMeansStop::fixpoint,
                                                        .with_cls_entry = false,
                                                        .min_cluster_size = 4,
                                                        .grouping = Grouping::random,
                                                        .weight_by_size = true}
                                               .description());
  CHECK(described("drop:0.5:min_samples=1") ==
        DropSamples{.keep = 0.5, .min_samples = 1}.description());
  CHECK(described("select:0.5:rest=attention:score=farthest") ==
        SelectTokens{.keep = 0.5, .score = TokenScore::farthest, .rest = RestToken::attention}
            .description());
  CHECK(described("adc:0.2:split=fifth") == adc(0.2, Split::fifth).description());
  auto both = adc(0.2, Split::final_release);
  both.first.start = KMeansStart::plus_plus;
  both.second.score = TokenScore::norm;
  CHECK(described("adc:0.2:score=norm:split=final_release:start=plus_plus") == both.description());
  CHECK(described("drop:0.5:min_samples=1,select:0.5:score=even,merge-tokens:0.5") ==
        (DropSamples{.keep = 0.5, .min_samples = 1} |
         (SelectTokens{.keep = 0.5, .score = TokenScore::even} | MergeTokens{.keep = 0.5}))
            .description());
}

TEST_CASE("parse_stage: what names nothing is refused with what is possible", "[spec]") {
  for (const char* text :
       {"", ":", "adc", "adc:", "adc:0", "adc:1.5", "adc:-1", "adc:nan", "adc:inf", "adc:0.1x",
        "merge:0.5,", ",merge:0.5", "zip:0.5", "Merge:0.5", "merge:start=random", "drop",
        "merge_tokens:0.5", "none,zip:1", " none"}) {
    INFO("'" << text << "'");
    CHECK_THROWS_AS(parse_stage<float>(text), std::invalid_argument);
    CHECK_THROWS_WITH(parse_stage<float>(text),
                      ContainsSubstring("names no stage; possible are none, adc, merge") ||
                          ContainsSubstring("it is written"));
  }
}

TEST_CASE("parse_stage: a wrong option is refused with those that are possible", "[spec]") {
  const auto refused = [](const char* text, const char* complaint) {
    INFO("'" << text << "'");
    CHECK_THROWS_AS(parse_stage<float>(text), std::invalid_argument);
    CHECK_THROWS_WITH(parse_stage<float>(text), ContainsSubstring(complaint));
  };
  refused("select:0.3:score=size",
          "has score 'size', wanted one of attention, norm, deviation, farthest, even, random");
  refused("select:0.3:score=", "has score '', wanted one of attention");
  refused("select:0.3:scores=norm",
          "has an option 'scores' that it does not take, or has it twice; it is written "
          "select:R[:score=attention|norm|");
  for (const char* text : {"select:0.3:score", "select:0.3:", "select:0.3:0.4"})
    refused(text, "', wanted a number in (0, 1]; it is written select:R");
  refused("select:0.3:=norm", "has '=norm', wanted option=value");
  for (const char* text : {"select:0.3:score=norm:score=norm", "select:0.3:start=random"})
    refused(text, "or has it twice; it is written select:R");
  refused("merge:0.3:with_cls_entry=true", "wanted one of yes, no");
  refused("merge:0.3:min_clusters=0", "wanted a whole number, at least 1");
  refused("merge:0.3:max_iterations=2.5", "wanted a whole number, at least 1");
  refused("merge:0.3:max_iterations=99999999999", "wanted a whole number, at least 1");
  refused("merge:0.3:tolerance=-1", "wanted a number, at least 0");
  refused("merge:0.3:tolerance=nan", "wanted a number, at least 0");
  refused("adc:0.3:split=half", "wanted one of sqrt_sqrt, fifth, final_release");
  refused("none:1", "takes no value behind its name; it is written none");
  refused("merge-tokens:0.3:keys=yes", "has an option 'keys' that it does not take");
  refused("merge:0.5,select:0.3:rest=some", "wanted one of none, attention, mean");
}
