// SPDX-License-Identifier: MIT
#include <limits>
#include <vector>

#include <splitvit/report/charts.hpp>

#include "report/samples.hpp"
#include "support/catch.hpp"

namespace report = splitvit::report;
using report::Run;

TEST_CASE("charts: a line is the mean over seeds, with a band", "[report]") {
  const std::vector<Run> runs{samples::run("adc", 1, 100, 0.9), samples::run("adc", 2, 200, 0.8)};
  const auto chart = report::accuracy_against_bytes(runs, report::summarise(runs));
  REQUIRE(chart.series.size() == 1);
  const auto& points = chart.series[0].points;
  REQUIRE(points.size() == 3);
  CHECK(points[2].x == Approx(150 * 45 + 2 * 720));
  CHECK(points[2].y == Approx(0.85));
  CHECK(points[2].low == Approx(0.8));
  CHECK(points[2].high == Approx(0.9));
  CHECK(chart.log_x);
}

TEST_CASE("charts: seeds whose steps differ meet row by row", "[report]") {
  std::vector<Run> runs{samples::run("adc", 1, 100, 0.9), samples::run("adc", 2, 100, 0.8)};
  ++runs[1].rows[2].step;
  const auto points =
      report::accuracy_against_bytes(runs, report::summarise(runs)).series[0].points;
  REQUIRE(points.size() == 3);
  CHECK(points[2].low == Approx(0.8));
  CHECK(points[2].high == Approx(0.9));
}

TEST_CASE("charts: by step where an epoch has several rows", "[report]") {
  std::vector<Run> runs{samples::run("adc", 1, 100, 0.9)};
  const auto x_label = [&] {
    return report::accuracy_against_epochs(runs, report::summarise(runs)).x_label;
  };
  CHECK(x_label() == "epochs");
  runs[0].rows[1].epoch = 1;
  CHECK(x_label() == "steps");
}

TEST_CASE("charts: a step that only some seeds have reached is left out", "[report]") {
  const std::vector<Run> runs{samples::run("adc", 1, 100, 0.9, 5),
                              samples::run("adc", 2, 100, 0.9, 2)};
  const auto groups = report::summarise(runs);
  CHECK(report::accuracy_against_epochs(runs, groups).series[0].points.size() == 2);
  CHECK(report::loss_against_steps(runs, groups).series[0].points.back().x == 20);
}

TEST_CASE("charts: rows without accuracy and odd numbers have no point", "[report]") {
  std::vector<Run> runs{samples::run("adc", 1, 100, 0.9)};
  runs[0].rows[1].test_accuracy.reset();
  runs[0].rows[2].loss = std::numeric_limits<double>::quiet_NaN();
  const auto groups = report::summarise(runs);
  CHECK(report::accuracy_against_time(runs, groups).series[0].points.size() == 2);
  CHECK(report::loss_against_steps(runs, groups).series[0].points.size() == 2);
}

TEST_CASE("charts: the reference has style 0, every method the same one everywhere", "[report]") {
  const std::vector<Run> runs{samples::run("adc", 1, 100, 0.9), samples::run("none", 1, 100, 0.9),
                              samples::run("top", 1, 100, 0.9)};
  const auto groups = report::summarise(runs);
  for (const auto& chart :
       {report::accuracy_against_bytes(runs, groups), report::loss_against_steps(runs, groups)}) {
    CHECK(chart.series[0].style == std::size_t{1});
    CHECK(chart.series[1].style == std::size_t{0});
    CHECK(chart.series[2].style == std::size_t{2});
  }
}

TEST_CASE("charts: a long line is thinned to means", "[report]") {
  Run run{.method = "adc"};
  for (std::uint64_t i = 1; i <= 1000; ++i)
    run.rows.push_back({.epoch = 1, .step = i, .loss = static_cast<double>(i % 2)});
  const auto points =
      report::loss_against_steps({&run, 1}, report::summarise({&run, 1})).series[0].points;
  CHECK(points.size() == 334);
  CHECK(points.back().x == 1000);
  CHECK(points[1].y == Approx(1.0 / 3));
}

TEST_CASE("charts: bars of traffic and time", "[report]") {
  const std::vector<Run> runs{samples::run("adc", 1, 100, 0.9)};
  const auto traffic = report::traffic_bars(report::summarise(runs));
  REQUIRE(traffic.groups.size() == 1);
  CHECK(traffic.groups[0].bars[0].parts == std::vector<double>{3000, 720});
  CHECK(traffic.groups[0].bars[1].note == "2.17 KiB (framing 720 B)");
  const auto time = report::time_bars(report::summarise(runs));
  CHECK(time.groups[0].bars[0].parts == std::vector<double>{4.5, 0.75, 6, 1.5});
  CHECK(time.groups[0].bars[0].note == "12.8 s");
}
