// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include <splitvit/report/summary.hpp>

#include "report/samples.hpp"
#include "support/catch.hpp"

namespace report = splitvit::report;
using report::Run;

TEST_CASE("summarise: means over seeds, population deviation, measured ratio", "[report]") {
  const std::vector<Run> runs{
      samples::run("none", 1, 1000, 0.97), samples::run("adc", 1, 100, 0.96),
      samples::run("none", 2, 1000, 0.95), samples::run("adc", 2, 300, 0.92)};
  const auto groups = report::summarise(runs);
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].label == "none");
  CHECK(groups[1].seeds == std::vector<std::uint64_t>{1, 2});
  CHECK(*groups[1].accuracy == Approx(0.94));
  CHECK(*groups[1].deviation == Approx(0.02));
  CHECK_FALSE(groups[1].standard_error.has_value());
  CHECK(groups[1].traffic.up.payload == 200 * 30);
  CHECK(groups[1].seconds.client == Approx(4.5));
  const double full = 1500 * 30 + 2 * 720;
  CHECK(*groups[0].ratio == Approx(1));
  CHECK(*groups[1].ratio == Approx(((150 * 30 + 1440) / full + (450 * 30 + 1440) / full) / 2));
}

TEST_CASE("summarise: one seed has the standard error of a proportion", "[report]") {
  Run run = samples::run("none", 1, 100, 0.9);
  CHECK_FALSE(report::summarise({&run, 1})[0].standard_error.has_value());
  run.test_samples = 900;
  const auto group = report::summarise({&run, 1})[0];
  CHECK(*group.standard_error == Approx(0.01));
  CHECK(report::accuracy_text(group) == "90.0 \xC2\xB1 1.0 %");
}

TEST_CASE("summarise: the ratio needs a reference with the same seed", "[report]") {
  const std::vector<Run> runs{samples::run("none", 1, 1000, 0.97),
                              samples::run("adc", 2, 100, 0.96)};
  CHECK_FALSE(report::summarise(runs)[1].ratio.has_value());
}

TEST_CASE("summarise: a run that ended early is compared by its bytes per step", "[report]") {
  const std::vector<Run> runs{samples::run("none", 1, 1000, 0.97, 4),
                              samples::run("same", 1, 1000, 0.8, 2)};
  CHECK(*report::summarise(runs)[1].ratio == Approx(1));
}

TEST_CASE("summarise: other settings make another group, another seed does not", "[report]") {
  std::vector<Run> runs{samples::run("adc", 1, 100, 0.9), samples::run("adc", 2, 100, 0.9),
                        samples::run("adc", 1, 100, 0.8)};
  runs[0].settings.push_back({"seed", "1"});
  runs[1].settings.push_back({"seed", "2"});
  runs[2].settings[1].value = "6";
  const auto groups = report::summarise(runs);
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].label == "adc (cut 2)");
  CHECK(groups[0].runs == std::vector<std::size_t>{0, 1});
  CHECK(groups[1].label == "adc (cut 6)");
}

TEST_CASE("summarise: a run that has failed is named, and not averaged", "[report]") {
  std::vector<Run> runs{samples::run("adc", 1, 100, 0.9), samples::run("adc", 2, 100, 0.5, 1)};
  const auto alone = report::summarise({runs.data(), 1})[0];
  runs[1].failure = "the loss is not finite";
  const auto group = report::summarise(runs)[0];
  CHECK(group.seeds == std::vector<std::uint64_t>{1, 2});
  CHECK(group.failures == std::vector<std::string>{"seed 2, step 10: the loss is not finite"});
  CHECK(*group.accuracy == Approx(0.9));
  CHECK_FALSE(group.deviation.has_value());
  CHECK(group.traffic == alone.traffic);
  CHECK(report::accuracy_text(group) == "90.0 %, 1 of 2 failed");

  const auto failed = report::summarise({&runs[1], 1})[0];
  CHECK_FALSE(failed.accuracy.has_value());
  CHECK(failed.traffic.up.payload == 1000);  // it was sent all the same
  CHECK(report::accuracy_text(failed) == "failed");
  CHECK(report::headline({&failed, 1}) == "adc failed: seed 2, step 10: the loss is not finite.");
  const Run refused{.method = "none", .failure = "refused"};
  CHECK(report::summarise({&refused, 1})[0].failures[0] == "seed 0, step 0: refused");
}

TEST_CASE("headline: the cheapest method that is about as good as none", "[report]") {
  const std::vector<Run> runs{
      samples::run("none", 1, 1000000, 0.971), samples::run("adc:0.1", 1, 98000, 0.963),
      samples::run("adc:0.01", 1, 9800, 0.9), samples::run("uniform:8", 1, 250000, 0.97)};
  CHECK(report::headline(report::summarise(runs)) ==
        "adc:0.1 reached 96.3 % with 9.8 % of the bytes of none (97.1 %).");
}

TEST_CASE("headline: at equal traffic the most accurate method", "[report]") {
  std::vector<Run> runs{samples::run("none", 1, 100000, 0.6),
                        samples::run("adc:0.1", 1, 10000, 0.9, 30),
                        samples::run("adc:0.1@q:8", 1, 2500, 0.8, 120)};
  CHECK(report::headline(report::summarise(runs)) ==
        "adc:0.1 reached 90.0 %, none 60.0 %, each with 4.31 MiB over the link.");
  runs.pop_back();
  runs.push_back(samples::run("adc:0.1@q:8", 1, 2500, 0.8, 100));
  CHECK(report::headline(report::summarise(runs)) ==
        "adc:0.1@q:8 reached 80.0 % with 2.5 % of the bytes of none (60.0 %).");
}

TEST_CASE("headline: whatever there is, a sentence", "[report]") {
  CHECK(report::headline({}) == "No runs to report.");
  Run run{.method = "adc"};
  CHECK(report::headline(report::summarise({&run, 1})) == "No training steps to report.");
  run = samples::run("adc", 1, 69905, 0.5);
  CHECK(report::headline(report::summarise({&run, 1})) ==
        "adc reached 50.0 % with 3.00 MiB over the link.");
  for (auto& row : run.rows) row.test_accuracy.reset();
  CHECK(report::headline(report::summarise({&run, 1})) ==
        "adc trained for 30 steps to a loss of 0.667.");
  run.rows.back().loss = std::numeric_limits<double>::quiet_NaN();
  CHECK(report::headline(report::summarise({&run, 1})) == "adc trained for 30 steps.");
  CHECK(report::accuracy_text(report::summarise({&run, 1})[0]) == report::no_number);
}

TEST_CASE("summary_table: accuracy, bytes both ways, ratio, seconds", "[report]") {
  const std::vector<Run> runs{samples::run("none", 1, 1048576, 0.97),
                              samples::run("adc:0.1", 1, 104858, 0.96),
                              samples::run("adc:0.1", 2, 104858, 0.94)};
  const samples::CommaLocale comma;
  CHECK(report::render_table(report::summary_table(runs)) ==
        "method   test accuracy    MiB    ratio  seconds\n"
        "-------  -------------  -----  -------  -------\n"
        "none            97.0 %  45.00  100.0 %     12.8\n"
        "adc:0.1   95.0 \xC2\xB1 1.0 %   4.50   10.0 %     12.8\n");
}

TEST_CASE("summary_table: evaluations with stages and codec, where there are any", "[report]") {
  std::vector<Run> runs{samples::run("none", 1, 1000, 0.97), samples::run("adc", 1, 100, 0.96),
                        samples::run("adc", 2, 100, 0.96)};
  const auto header = [&] { return report::summary_table(runs).header; };
  CHECK(header().size() == 5);
  for (std::size_t i : {1u, 2u}) {
    runs[i].test_samples = 50;
    runs[i].rows.back().compressed_accuracy = i == 1 ? 0.9 : 0.8;
    runs[i].rows.back().compressed_bytes = i == 1 ? 100'000 : 50'000;
  }
  const auto groups = report::summarise(runs);
  CHECK_FALSE(groups[0].compressed_accuracy.has_value());
  CHECK(*groups[1].compressed_accuracy == Approx(0.85));
  CHECK(*groups[1].bytes_an_image == Approx(1500));
  const auto table = report::summary_table(runs);
  CHECK(table.header.back() == "an image");
  CHECK(table.rows[0][5] == report::no_number);
  CHECK(table.rows[1][5] == "85.0 %");
  CHECK(table.rows[1][6] == report::human_bytes(1500));
}

TEST_CASE("summary_table: 80 columns, whatever the methods are called", "[report]") {
  const std::string name =
      GENERATE(std::string(40, 'm'), std::string(78, 'm'), std::string(500, 'm'));
  std::vector<Run> runs{samples::run("none", 1, 1u << 30, 0.9), samples::run(name, 1, 100, 0.8),
                        samples::run(name + "x", 1, 100, 0.7)};
  for (Run& run : runs) run.test_samples = 1000;
  std::istringstream lines{report::render_table(report::summary_table(runs))};
  std::string all;
  for (std::string line; std::getline(lines, line);) {
    CHECK(report::columns(line) <= 80);
    all += line;
  }
  CHECK_THAT(all, ContainsSubstring(name + "x"));  // nothing is cut off
  CHECK_THAT(all, ContainsSubstring("70.0 \xC2\xB1 1.4 %"));
}

TEST_CASE("summarise: the baseline of the most frequent class", "[report]") {
  Run run = samples::run("none", 1, 100, 0.9);
  CHECK_FALSE(report::summarise({&run, 1})[0].baseline.has_value());
  run.classes = {{"a", 30, 20}, {"b", 70, 60}};
  CHECK(*report::summarise({&run, 1})[0].baseline == Approx(0.7));
}
