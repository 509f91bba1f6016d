// SPDX-License-Identifier: MIT
#include <splitvit/split/report.hpp>

#include "support/catch.hpp"

using namespace splitvit::split;

TEST_CASE("report: an epoch adds up its steps", "[split]") {
  EpochReport epoch;
  const Traffic traffic{{.payload = 100, .framing = 32}, {.payload = 50, .framing = 32}};
  epoch.add({.step = 1, .loss = 2, .samples = 4, .traffic = traffic, .seconds = {.client = 1}});
  epoch.add({.step = 2, .loss = 1, .samples = 2, .traffic = traffic, .seconds = {.server = 3}});
  CHECK(epoch.steps == 2);
  CHECK(epoch.loss == Approx(1.5));
  CHECK(epoch.samples == 6);
  CHECK(epoch.traffic.up.total() == 264);
  CHECK(epoch.traffic.total() == 428);
  CHECK(epoch.traffic - traffic == traffic);
  CHECK(epoch.seconds.total() == Approx(4));
}

TEST_CASE("report: accuracy is correct over samples", "[split]") {
  CHECK(Evaluation{}.accuracy() == 0);
  CHECK(Evaluation{.loss = 1, .correct = 3, .samples = 4, .traffic = {}}.accuracy() ==
        Approx(0.75));
}
