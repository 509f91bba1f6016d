// SPDX-License-Identifier: MIT
#include <limits>
#include <string>

#include <splitvit/report/bars.hpp>

#include "report/well_formed.hpp"
#include "support/catch.hpp"

namespace report = splitvit::report;
using report::BarChart;
using well_formed::count;

TEST_CASE("bars: parts of a bar lie end to end, lengths in proportion", "[report]") {
  const std::string svg = report::render_svg(
      BarChart{.title = "traffic",
               .label = "bytes",
               .unit = report::Unit::bytes,
               .parts = {"payload", "framing"},
               .groups = {{"none", {{"up", {3072, 1024}, "4.00 KiB"}, {"down", {2048, 0}, ""}}}}});
  CHECK(well_formed::fault(svg) == "");
  CHECK(count(svg, "<rect") == 2 + 3);  // legend; bars, where a part of 0 has no box
  for (const char* text : {">payload</text>", ">framing</text>", ">none</text>", ">up</text>",
                           ">4.00 KiB</text>", ">0 B</text>", ">4 KiB</text>"})
    CHECK_THAT(svg, ContainsSubstring(text));
  const auto number = [&](std::size_t nth, const std::string& name) {
    std::size_t at = 0;
    for (std::size_t i = 0; i <= nth; ++i) at = svg.find("<rect", at + 1);
    return std::stod(svg.substr(svg.find(" " + name + "=\"", at) + name.size() + 3));
  };
  CHECK(number(3, "x") == Approx(number(2, "x") + number(2, "width")).margin(0.11));
  CHECK(number(2, "width") == Approx(3 * number(3, "width")).margin(0.3));
}

TEST_CASE("bars: a long name takes several lines", "[report]") {
  const std::string name(60, 'm');
  const auto height = [](const std::string& svg) {
    return std::stod(svg.substr(svg.find("0 0 480 ") + 8));
  };
  const auto drawn = [](const std::string& of) {
    return report::render_svg(BarChart{.title = "t", .groups = {{of, {{"up", {1}, ""}}}}});
  };
  const std::string svg = drawn(name);
  CHECK(count(svg, "class=\"sv-name\"") == 2);
  CHECK(svg.find("\xE2\x80\xA6") == std::string::npos);
  CHECK(height(svg) > height(drawn("m")) + 10);
}

TEST_CASE("bars: no bars, zeros and odd numbers", "[report]") {
  CHECK_THAT(report::render_svg(BarChart{.title = "t"}), ContainsSubstring(">no data</text>"));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  for (const double odd : {0.0, -1.0, nan, inf}) {
    const std::string svg = report::render_svg(
        BarChart{.title = "t", .groups = {{"<g>", {{"a", {odd, 1}, ""}, {"b", {odd}, ""}}}}});
    CHECK(well_formed::fault(svg) == "");
    CHECK(well_formed::all_finite(svg));
    CHECK(count(svg, "<rect") == 1);
  }
}
