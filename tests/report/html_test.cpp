// SPDX-License-Identifier: MIT
#include <limits>
#include <string>
#include <vector>

#include <splitvit/report/html.hpp>

#include "report/samples.hpp"
#include "report/well_formed.hpp"
#include "support/catch.hpp"

namespace report = splitvit::report;
using report::Run;
using well_formed::count;

namespace {

std::vector<Run> comparison() {
  return {samples::run("none", 1, 1000000, 0.971), samples::run("none", 2, 1000000, 0.969),
          samples::run("adc:0.1", 1, 98000, 0.963), samples::run("adc:0.1", 2, 98000, 0.961)};
}

}  // namespace

TEST_CASE("well_formed: the checker finds faults", "[report]") {
  CHECK(well_formed::fault("<p class=\"a\">x &amp; y<br></p>") == "");
  for (const char* bad : {"<p>", "</p>", "<p></b>", "<p><b></p></b>", "a & b", "1 < 2", "1 > 2",
                          "<p a=\"1\" a=\"2\"></p>", "<p a></p>", "<p a=\"<\"></p>"})
    CHECK(well_formed::fault(bad) != "");
  CHECK_FALSE(well_formed::all_finite("x=\"-nan\""));
  CHECK_FALSE(well_formed::all_finite("M inf,2"));
  CHECK(well_formed::all_finite("financing information"));
}

TEST_CASE("render_html: the finding, the numbers, the charts, the settings", "[report]") {
  const std::string page = report::render_html(comparison(), {.subtitle = "a small test"});
  CHECK(well_formed::fault(page) == "");
  CHECK(well_formed::all_finite(page));
  CHECK(count(page, "<svg") == 6);
  for (const char* text :
       {"<h1>adc:0.1 reached 96.2 % with 9.8 % of the bytes of none (97.0 %).</h1>",
        "<td>96.2 \xC2\xB1 0.1 %</td>", "<td>1, 2</td>", ">splitvit report \xC2\xB7 a small test<",
        "<h2>Time</h2>", "At 10 Mbit/s", "<h2>Settings</h2>", "colspan=\"2\">tiny</td>",
        "<h2>What is counted</h2>", "prefers-color-scheme:dark", "@media print",
        "width=device-width"})
    CHECK_THAT(page, ContainsSubstring(text));
}

TEST_CASE("render_html: nothing is loaded from elsewhere, and nothing runs", "[report]") {
  const std::string page = report::render_html(comparison());
  CHECK(count(page, "http") == count(page, "xmlns=\"http://www.w3.org/2000/svg\""));
  for (const char* part : {"<script", "<link", "<img", "<iframe", "@import", "url(",
                           "src=", "href=", "onload", "//cdn"})
    CHECK(count(page, part) == 0);
}

TEST_CASE("render_html: no runs, runs without rows, and odd numbers", "[report]") {
  const std::string none = report::render_html({});
  CHECK(well_formed::fault(none) == "");
  CHECK_THAT(none, ContainsSubstring("No runs to report."));

  std::vector<Run> runs{{.method = "none"}, {.method = "adc"}};
  CHECK(well_formed::fault(report::render_html(runs)) == "");

  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  runs = comparison();
  runs[2].rows[2].loss = nan;
  runs[2].rows[2].test_accuracy = nan;
  runs[3].rows[2].loss = inf;
  runs[3].rows[2].seconds.link = inf;
  runs[0].rows[0].seconds.client = nan;
  const std::string page = report::render_html(runs);
  CHECK(well_formed::fault(page) == "");
  CHECK(well_formed::all_finite(page));
}

TEST_CASE("render_html: runs that have failed, with their reasons", "[report]") {
  std::vector<Run> runs = comparison();
  CHECK(report::render_html(runs).find("<h2>Failed</h2>") == std::string::npos);
  runs[3].failure = "1 < 2";
  const std::string page = report::render_html(runs);
  CHECK(well_formed::fault(page) == "");
  CHECK_THAT(page, ContainsSubstring("<h2>Failed</h2>"));
  CHECK_THAT(page, ContainsSubstring(">seed 2, step 30: 1 &lt; 2</td>"));
  CHECK_THAT(page, ContainsSubstring("<td>96.3 %, 1 of 2 failed</td>"));
}

TEST_CASE("render_html: accuracy by class beside that of the majority class", "[report]") {
  std::vector<Run> runs = comparison();
  CHECK(report::render_html(runs).find("Accuracy by class") == std::string::npos);
  runs[0].classes = {{"<cat>", 60, 57}, {"dog", 140, 7}};
  runs[1].classes = {{"<cat>", 60, 60}, {"dog", 140, 21}};
  runs[2].classes = {{"<cat>", 60, 30}, {"other", 140, 0}};
  const std::string page = report::render_html(runs);
  CHECK(well_formed::fault(page) == "");
  CHECK(well_formed::all_finite(page));
  for (const char* text : {">Majority class</th>", "<td>70.0 %</td>", "<h2>Accuracy by class</h2>",
                           // the mean of two seeds, and the one seed that has this class
                           ">&lt;cat&gt;</th><td>60</td><td>97.5 %</td><td>50.0 %</td>",
                           ">dog</th><td>140</td><td>10.0 %</td><td>\xE2\x80\x93</td>"})
    CHECK_THAT(page, ContainsSubstring(text));
  CHECK(count(page, "<details") == 0);

  runs[0].classes.assign(1000, {"c", 1, 1});
  const std::string many = report::render_html(runs);
  CHECK(well_formed::fault(many) == "");
  CHECK_THAT(many, ContainsSubstring("<summary>All 1000 classes</summary>"));
}

TEST_CASE("render_html: text from outside is escaped", "[report]") {
  std::vector<Run> runs{samples::run("<script>alert(1)</script>", 1, 100, 0.9)};
  runs[0].settings = {{"\"><b>", "</td>&\x1b\xFF"}};
  const std::string page = report::render_html(runs, {.title = "</title><i>", .subtitle = "<u>"});
  CHECK(well_formed::fault(page) == "");
  for (const char* part : {"<script", "<b>", "<i>", "<u>", "\x1b", "\xFF"})
    CHECK(page.find(part) == std::string::npos);
}

TEST_CASE("render_html: settings that differ have a column each", "[report]") {
  std::vector<Run> runs = comparison();
  runs[2].settings[1].value = runs[3].settings[1].value = "6";
  const std::string page = report::render_html(runs);
  CHECK_THAT(page, ContainsSubstring("<td class=\"text\">2</td><td class=\"text\">6</td>"));
}

TEST_CASE("render_html: no locale has a say, and equal runs give equal pages", "[report]") {
  const std::string before = report::render_html(comparison());
  const samples::CommaLocale comma;
  CHECK(report::render_html(comparison()) == before);
}
