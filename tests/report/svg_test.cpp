// SPDX-License-Identifier: MIT
#include <cmath>
#include <string>
#include <vector>

#include <splitvit/report/svg.hpp>

#include "report/samples.hpp"
#include "report/well_formed.hpp"
#include "support/catch.hpp"

namespace report = splitvit::report;
using report::Chart;
using report::Unit;
using report::detail::place_labels;
using well_formed::count;

namespace {

Chart two_lines() {
  return {.title = "accuracy",
          .x_label = "epochs",
          .y_label = "test accuracy",
          .x_unit = Unit::count,
          .y_unit = Unit::percent,
          .series = {{"none", {{0, 0.5}, {10, 0.9}}}, {"adc", {{0, 0.4}, {10, 0.9}}}}};
}

/// Values of `attribute` of the elements that carry a name of a line.
std::vector<double> name_attribute(const std::string& svg, const std::string& attribute) {
  std::vector<double> out;
  for (std::size_t i = svg.find("sv-halo sv-name"); i != std::string::npos;
       i = svg.find("sv-halo sv-name", i + 1)) {
    const std::size_t begin = svg.rfind("<text", i);
    const std::size_t value = svg.find(" " + attribute + "=\"", begin) + attribute.size() + 3;
    out.push_back(std::stod(svg.substr(value)));
  }
  return out;
}

}  // namespace

TEST_CASE("render_svg: axes, lines, markers and names", "[report]") {
  const std::string svg = report::render_svg(two_lines());
  CHECK(well_formed::fault(svg) == "");
  CHECK(well_formed::all_finite(svg));
  CHECK(count(svg, "class=\"sv-line ") == 2);
  CHECK(count(svg, "class=\"sv-mark ") == 4);
  for (const char* text : {">accuracy</text>", ">epochs</text>", ">test accuracy</text>",
                           ">none</text>", ">adc</text>", ">40 %</text>", ">90 %</text>"})
    CHECK_THAT(svg, ContainsSubstring(text));
}

TEST_CASE("render_svg: lines differ without colour", "[report]") {
  Chart chart{.title = "many"};
  for (int i = 0; i < 7; ++i)
    chart.series.push_back({"m" + std::to_string(i), {{0, 1.0 * i}, {1, 2.0 * i}}});
  const std::string svg = report::render_svg(chart);
  std::vector<std::string> shapes;  // the path of each line's last marker, without its place
  for (std::size_t i = svg.find("sv-mark"); i != std::string::npos; i = svg.find("sv-mark", i + 1))
    if (svg.compare(i - 7, 7, "class=\"") == 0) {
      const std::size_t d = svg.find(" d=\"", i);
      const std::size_t move = svg.find_first_of("alh", d + 5);
      shapes.push_back(svg.substr(i + 12, d - i - 12) +
                       svg.substr(move, svg.find('"', move) - move));
    }
  REQUIRE(shapes.size() == 14);
  for (std::size_t i = 0; i < 14; i += 2)
    for (std::size_t k = i + 2; k < 14; k += 2) CHECK(shapes[i] != shapes[k]);
}

TEST_CASE("render_svg: names at line ends never overlap", "[report]") {
  const int n = GENERATE(2, 5, 12, 40);
  Chart chart{.title = "crowded"};
  for (int i = 0; i < n; ++i) {
    const double end = 1 - 0.0001 * i;
    chart.series.push_back({"method " + std::to_string(i), {{0, 0}, {end, 1}}});
  }
  const std::string svg = report::render_svg(chart);
  const auto y = name_attribute(svg, "y");
  REQUIRE(y.size() == static_cast<std::size_t>(n));
  double low = 1e9;
  for (std::size_t i = 0; i < y.size(); ++i) {
    low = std::min(low, y[i]);
    for (std::size_t k = i + 1; k < y.size(); ++k) CHECK(std::abs(y[i] - y[k]) > 15.8);
  }
  CHECK(low > 20);
}

TEST_CASE("render_svg: names keep the order of their lines", "[report]") {
  Chart chart{.title = "order"};
  for (int i = 0; i < 6; ++i) chart.series.push_back({"m", {{0, 0}, {1, 100 + 0.5 * i}}});
  const auto y = name_attribute(report::render_svg(chart), "y");
  for (std::size_t i = 1; i < y.size(); ++i) CHECK(y[i] < y[i - 1]);  // up the page
}

TEST_CASE("render_svg: names fit into the drawing", "[report]") {
  Chart chart = two_lines();
  chart.series[0].name = "merge-tokens:0.31@q:4";
  const std::string svg = report::render_svg(chart);
  const auto x = name_attribute(svg, "x");
  REQUIRE(x.size() == 2);
  CHECK(x[0] + report::detail::bold_width(chart.series[0].name) <= 480);
  CHECK_THAT(svg, ContainsSubstring(">merge-tokens:0.31@q:4</text>"));
}

TEST_CASE("render_svg: long names stand below, whole", "[report]") {
  Chart chart = two_lines();
  const std::string name = "merge-tokens:0.31:send_sizes=yes:features=keys@slacc:4,min_bits=1";
  const std::string endless(5000, 'm');
  chart.series[0].name = name;
  chart.series[1].name = endless;
  const std::string svg = report::render_svg(chart);
  CHECK(well_formed::fault(svg) == "");
  CHECK(name_attribute(svg, "x").empty());  // no name at the end of a line
  CHECK(count(svg, "class=\"sv-line ") == 4);
  std::string all;  // the pieces of the names, in order
  for (std::size_t i = svg.find("class=\"sv-name"); i != std::string::npos;
       i = svg.find("class=\"sv-name", i + 1)) {
    const std::size_t begin = svg.rfind("<text", i), text = svg.find('>', i) + 1;
    const std::string piece = svg.substr(text, svg.find('<', text) - text);
    CHECK(std::stod(svg.substr(svg.find(" x=\"", begin) + 4)) + report::detail::bold_width(piece) <=
          480);
    CHECK(std::stod(svg.substr(svg.find(" y=\"", begin) + 4)) <
          std::stod(svg.substr(svg.find("0 0 480 ") + 8)));  // the height
    all += piece;
  }
  CHECK(all.starts_with(name));
  CHECK(all.size() < name.size() + 210);  // of what has no end, the beginning
}

TEST_CASE("render_svg: names stand below where one would cover the end of another line",
          "[report]") {
  Chart chart = two_lines();
  CHECK(name_attribute(report::render_svg(chart), "x").size() == 2);
  chart.series[1].points.back() = {9.5, 0.9};  // left of the other end, at its height
  CHECK(name_attribute(report::render_svg(chart), "x").empty());
  chart.series[1].points.back() = {9.5, 0.5};
  CHECK(name_attribute(report::render_svg(chart), "x").size() == 2);
}

TEST_CASE("wrapped: pieces that fit, broken behind punctuation, nothing lost", "[report]") {
  using report::detail::wrapped;
  CHECK(wrapped("", 100).empty());
  CHECK(wrapped("short", 100) == std::vector<std::string>{"short"});
  CHECK(wrapped("merge:0.5,select:0.3", 130) ==
        std::vector<std::string>{"merge:0.5,", "select:0.3"});
  CHECK(wrapped("mmmm", 1) == std::vector<std::string>{"m", "m", "m", "m"});
}

TEST_CASE("render_svg: one point, equal values, no values", "[report]") {
  const bool log_x = GENERATE(false, true);
  for (const double v : {0.0, 1.0, -3.0, 1e-12, 1e100}) {
    const std::string svg =
        report::render_svg({.title = "one", .log_x = log_x, .series = {{"a", {{1, v}}}}});
    CHECK(well_formed::fault(svg) == "");
    CHECK(well_formed::all_finite(svg));
    CHECK(count(svg, "class=\"sv-mark ") == 1);
    CHECK(count(svg, "class=\"sv-line ") == 0);
    const std::string flat = report::render_svg({.title = "flat",
                                                 .y_unit = Unit::percent,
                                                 .log_x = log_x,
                                                 .series = {{"a", {{1, v}, {2, v}}}}});
    CHECK(well_formed::all_finite(flat));
    CHECK(count(flat, "class=\"sv-line ") == 1);
  }
  for (const Chart& empty : {Chart{.title = "e"}, Chart{.title = "e", .series = {{"a", {}}}}})
    CHECK_THAT(report::render_svg(empty), ContainsSubstring(">no data</text>"));
}

TEST_CASE("render_svg: the lowest and the highest mark of y end the axis", "[report]") {
  for (const double v : {0.482, 0.03, 0.9, 1.0, 0.0}) {
    const std::string svg =
        report::render_svg({.title = "one", .y_unit = Unit::percent, .series = {{"a", {{1, v}}}}});
    std::vector<double> grid;
    for (std::size_t i = svg.find("class=\"sv-grid\""); i != std::string::npos;
         i = svg.find("class=\"sv-grid\"", i + 1))
      grid.push_back(std::stod(svg.substr(svg.find(',', svg.find(" d=\"", i)) + 1)));
    REQUIRE(grid.size() >= 3);
    CHECK(grid.front() == Approx(294));  // the drawing's height, less the room below the axis
    CHECK(grid.back() == Approx(58));
  }
}

TEST_CASE("render_svg: points that cannot be drawn are left out", "[report]") {
  const Chart chart{.title = "odd",
                    .log_x = true,
                    .series = {{"a",
                                {{1, 1},
                                 {2, samples::not_a_number},
                                 {samples::infinite, 3},
                                 {0, 4},
                                 {-1, 4},
                                 {3, 1e308},
                                 {4, 2, -samples::infinite, samples::not_a_number}}},
                               {"all bad", {{samples::not_a_number, samples::not_a_number}}}}};
  const std::string svg = report::render_svg(chart);
  CHECK(well_formed::fault(svg) == "");
  CHECK(well_formed::all_finite(svg));
  CHECK(count(svg, "class=\"sv-mark ") == 2);
  CHECK(svg.find("all bad") == std::string::npos);
}

TEST_CASE("render_svg: a band where seeds differ", "[report]") {
  Chart chart = two_lines();
  CHECK(count(report::render_svg(chart), "class=\"sv-band ") == 0);
  chart.series[0].points = {{0, 0.5, 0.4, 0.6}, {10, 0.9, 0.85, 0.92}};
  const std::string svg = report::render_svg(chart);
  CHECK(count(svg, "class=\"sv-band ") == 1);
  CHECK(well_formed::fault(svg) == "");
  // or bars: a line with two caps at each marker
  chart.error_bars = true;
  const std::string bars = report::render_svg(chart);
  CHECK(count(bars, "class=\"sv-band ") == 0);
  CHECK(count(bars, "class=\"sv-bar ") == 6);
  CHECK(well_formed::fault(bars) == "");
}

TEST_CASE("render_svg: a logarithmic axis of bytes", "[report]") {
  const double mib = 1048576;
  const std::string svg =
      report::render_svg({.title = "bytes",
                          .x_label = "traffic",
                          .x_unit = Unit::bytes,
                          .log_x = true,
                          .series = {{"a", {{mib, 1}, {32 * mib, 2}, {1024 * mib, 3}}}}});
  for (const char* text :
       {">1 MiB</text>", ">64 MiB</text>", ">1 GiB</text>", ">traffic (logarithmic)</text>"})
    CHECK_THAT(svg, ContainsSubstring(text));
}

TEST_CASE("render_svg: text is escaped, and no locale has a say", "[report]") {
  Chart chart = two_lines();
  chart.title = "<script>&\"'\x01";
  chart.series[0].name = "</svg>\n&";
  const std::string svg = report::render_svg(chart);
  CHECK(well_formed::fault(svg) == "");
  CHECK(svg.find("<script") == std::string::npos);
  CHECK(count(svg, "</svg>") == 1);
  const samples::CommaLocale comma;
  CHECK(report::render_svg(chart) == svg);
}

TEST_CASE("place_labels: labels with room stay where they want to be", "[report]") {
  const auto y = place_labels({{100, 50, 40}, {100, 80, 40}}, 16, 0, 200, {});
  CHECK(y == std::vector<double>{50, 80});
}

TEST_CASE("place_labels: labels at one place share the push", "[report]") {
  const auto y = place_labels({{100, 50, 40}, {100, 50, 40}, {100, 50, 40}}, 16, 0, 200, {});
  CHECK(y[0] == Approx(34).margin(0.5));
  CHECK(y[1] == Approx(50).margin(0.5));
  CHECK(y[2] == Approx(66).margin(0.5));
}

TEST_CASE("place_labels: labels beside each other do not push", "[report]") {
  const auto y = place_labels({{100, 50, 40}, {150, 50, 40}}, 16, 0, 200, {});
  CHECK(y == std::vector<double>{50, 50});
}

TEST_CASE("place_labels: stays within bounds where there is room", "[report]") {
  const auto y = place_labels({{100, -5, 40}, {100, 0, 40}, {100, 300, 40}}, 16, 0, 200, {});
  CHECK(y[0] >= 0);
  CHECK(y[1] >= y[0] + 15.9);
  CHECK(y[2] <= 200);
}

TEST_CASE("place_labels: steps aside for a line", "[report]") {
  const auto y =
      place_labels({{100, 50, 40}}, 16, 0, 200, {{105, 53}, {110, 53}, {115, 53}, {120, 53}});
  CHECK(y[0] < 50);
}
