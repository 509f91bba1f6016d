// SPDX-License-Identifier: MIT
#include <splitvit/report/run.hpp>

#include "report/samples.hpp"
#include "support/catch.hpp"

namespace report = splitvit::report;

TEST_CASE("majority_baseline: the share of the most frequent class", "[report]") {
  report::Run run;
  CHECK_FALSE(report::majority_baseline(run).has_value());
  run.classes = {{.name = "a"}, {.name = "b"}};
  CHECK_FALSE(report::majority_baseline(run).has_value());  // nothing was evaluated
  run.classes = {{"a", 30, 1}, {"b", 90, 2}};
  CHECK(*report::majority_baseline(run) == Approx(0.75));
}

TEST_CASE(
    "final_accuracy: of the last evaluation, not of the best or the last row; none after a failure",
    "[report]") {
  report::Run run = samples::run("none", 1, 100, 0.9);
  CHECK(report::final_accuracy(run) == Approx(0.9));
  run.rows.push_back({.epoch = 4, .step = 40, .loss = 1});
  CHECK(report::final_accuracy(run) == Approx(0.9));
  run.rows.push_back({.epoch = 5, .step = 50, .loss = 1, .test_accuracy = 0.5});
  CHECK(report::final_accuracy(run) == Approx(0.5));
  run.failure = "not finite";
  CHECK_FALSE(report::final_accuracy(run).has_value());
  run.failure.clear();
  run.rows.clear();
  CHECK_FALSE(report::final_accuracy(run).has_value());
}
