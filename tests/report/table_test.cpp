// SPDX-License-Identifier: MIT
#include <sstream>
#include <string>
#include <vector>

#include <splitvit/report/summary.hpp>

#include "report/samples.hpp"
#include "support/catch.hpp"

namespace report = splitvit::report;

TEST_CASE("render_table: aligned by columns on the screen", "[report]") {
  CHECK(report::render_table({.header = {"name", "n"},
                              .rows = {{"a", "1"},
                                       {"gr\xC3\xBC\xC3\x9F"
                                        "e",
                                        "1000"},
                                       {"b"}}}) ==
        "name      n\n"
        "-----  ----\n"
        "a         1\n"
        "gr\xC3\xBC\xC3\x9F"
        "e  1000\n"
        "b\n");
  CHECK(report::render_table({}).empty());
}

TEST_CASE("render_table: a name cannot break the table", "[report]") {
  CHECK(report::render_table({.header = {}, .rows = {{"a\nb\x1b[2J", "1"}}}) == "a b [2J  1\n");
}

TEST_CASE("summary_table: a line for each method", "[report]") {
  const std::vector<report::Run> runs{samples::run("none", 1, 1048576, 0.97),
                                      samples::run("adc:0.1", 1, 104858, 0.96)};
  const samples::CommaLocale comma;
  const std::string text = report::render_table(report::summary_table(runs));
  std::istringstream lines{text};
  std::string header, rule, none, adc;
  std::getline(lines, header);
  std::getline(lines, rule);
  std::getline(lines, none);
  std::getline(lines, adc);
  CHECK(header ==
        "method   seeds  epochs  test accuracy  up MiB  down MiB    ratio  client  compression  "
        "server  at 1 Mbit/s  at 10 Mbit/s  at 100 Mbit/s");
  // 5.25 + 6 s, and 45 MiB are 377.5 Mbit
  CHECK(none ==
        "none         1       3         97.0 %   30.00     15.00  100.0 %   4.5 s       750 ms  "
        " 6.0 s   6 min 29 s        49.0 s         15.0 s");
  CHECK(adc.substr(0, 65) == "adc:0.1      1       3         96.0 %    3.00      1.50   10.0 % ");
}
