// SPDX-License-Identifier: MIT
#include <limits>
#include <string>
#include <vector>

#include <splitvit/report/ticks.hpp>

#include "support/catch.hpp"

namespace report = splitvit::report;
using report::Unit;

namespace {

std::vector<std::string> labels(const std::vector<report::Tick>& ticks) {
  std::vector<std::string> out;
  for (const auto& tick : ticks) out.push_back(tick.label);
  return out;
}

using Labels = std::vector<std::string>;

}  // namespace

TEST_CASE("nice_step: 1, 2 or 5 times a power of ten, or what fits the unit", "[report]") {
  CHECK(report::nice_step(0, 10, Unit::number) == Approx(2));
  CHECK(report::nice_step(0, 0.4, Unit::number) == Approx(0.1));
  CHECK(report::nice_step(0, 23, Unit::number) == Approx(5));
  CHECK(report::nice_step(0, 2, Unit::count) == 1);
  CHECK(report::nice_step(0, 5000, Unit::bytes) == 1024);
  CHECK(report::nice_step(0, 3000, Unit::seconds) == 600);
  CHECK(report::nice_step(1, 1, Unit::number) == 1);
}

TEST_CASE("linear_ticks: short labels in the unit", "[report]") {
  CHECK(labels(report::linear_ticks(0, 2, Unit::number)) ==
        Labels{"0.0", "0.5", "1.0", "1.5", "2.0"});
  CHECK(labels(report::linear_ticks(0.9, 1, Unit::percent)) ==
        Labels{"90 %", "92 %", "94 %", "96 %", "98 %", "100 %"});
  CHECK(labels(report::linear_ticks(0, 2.5 * 1048576, Unit::bytes)) ==
        Labels{"0 B", "512 KiB", "1 MiB", "1.5 MiB", "2 MiB", "2.5 MiB"});
  CHECK(labels(report::linear_ticks(0, 5400, Unit::seconds)) ==
        Labels{"0", "30 min", "1 h", "90 min"});
  CHECK(labels(report::linear_ticks(0, 40000, Unit::count)) ==
        Labels{"0", "10k", "20k", "30k", "40k"});
  CHECK(labels(report::linear_ticks(-1e-9, 3e-9, Unit::number)) ==
        Labels{"-1e-09", "0", "1e-09", "2e-09", "3e-09"});
}

TEST_CASE("log_ticks: powers that are easy to read", "[report]") {
  CHECK(labels(report::log_ticks(1, 1e4, Unit::number)) == Labels{"1", "10", "100", "1000", "10k"});
  CHECK(labels(report::log_ticks(1, 10, Unit::number)) == Labels{"1", "2", "5", "10"});
  CHECK(labels(report::log_ticks(1048576, 1073741824, Unit::bytes)) ==
        Labels{"1 MiB", "4 MiB", "16 MiB", "64 MiB", "256 MiB", "1 GiB"});
  CHECK(labels(report::log_ticks(1024, 1099511627776.0, Unit::bytes)) ==
        Labels{"1 KiB", "1 MiB", "1 GiB", "1 TiB"});
}

TEST_CASE("ticks: odd ranges end, with few marks", "[report]") {
  const double infinite = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(report::log_ticks(0, 10, Unit::number).empty());
  CHECK(report::log_ticks(-1, 10, Unit::number).empty());
  CHECK(report::log_ticks(nan, 10, Unit::number).empty());
  CHECK(report::log_ticks(1, infinite, Unit::bytes).empty());
  CHECK(report::linear_ticks(nan, nan, Unit::number).empty());
  CHECK(report::linear_ticks(0, 1e300, Unit::bytes).size() <= 50);
  CHECK(report::log_ticks(1e-200, 1e200, Unit::number).size() <= 10);
  CHECK(report::linear_ticks(5, 5, Unit::number).size() == 1);
}
