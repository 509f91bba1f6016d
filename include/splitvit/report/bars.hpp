// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // adjacent_find, max, min
#include <cmath>      // isfinite

#include <splitvit/report/detail/svg_parts.hpp>  // svg_begin, svg_box, svg_text, wrapped
#include <splitvit/report/ticks.hpp>             // Unit, linear_ticks

namespace splitvit::inline SPLITVIT_BUILD::report {

struct Bar {
  std::string name;           ///< within its group, such as "up"; may be empty
  std::vector<double> parts;  ///< at most four; what is negative or not finite counts as 0
  std::string note;           ///< written at its end
};

struct BarGroup {
  std::string name;
  std::vector<Bar> bars;
};

struct BarChart {
  std::string title;
  std::string label{};  ///< of the axis
  Unit unit = Unit::number;
  std::vector<std::string> parts{};  ///< what the parts are, for the legend
  std::vector<BarGroup> groups{};
  double width = 480;  ///< of the view box; the height follows from the bars
};

namespace detail {
inline double bar_part(double value) {
  return std::isfinite(value) && value > 0 ? std::min(value, 1e200) : 0;
}

inline std::string part_class(std::size_t part) { return "sv-part-" + std::to_string(part); }

/// Names and colours of the parts in one row, wrapped where it is full; moves y below it.
inline std::string bar_legend(const BarChart& chart, double& y) {
  std::string out;
  double x = edge;
  for (std::size_t i = 0; i < chart.parts.size() && i < 4; ++i) {
    const double width = 30 + text_width(chart.parts[i]);
    if (x > edge && x + width > chart.width) {
      x = edge;
      y += 20;
    }
    out += svg_box(x, y, 12, 12, part_class(i));
    out += svg_text(x + 17, y + 10.5, chart.parts[i], "sv-soft");
    x += width;
  }
  if (!chart.parts.empty()) y += 26;
  return out;
}
}  // namespace detail

/// The chart as an <svg> element, with horizontal bars. Parts of a bar differ by lightness.
inline std::string render_svg(const BarChart& chart) {
  using namespace detail;
  constexpr double bar_height = 15, bar_pitch = 19, name_pitch = 17, name_gap = 4, group_gap = 9;
  double longest = 0, names = 0, notes = 0;
  for (const BarGroup& group : chart.groups)
    for (const Bar& bar : group.bars) {
      double length = 0;
      for (const double part : bar.parts) length += bar_part(part);
      longest = std::max(longest, length);
      names = std::max(names, text_width(bar.name));
      notes = std::max(notes, text_width(bar.note));
    }
  const double left = edge + (names > 0 ? names + 6 : 0);
  const double right = std::max(left + 0.35 * chart.width, chart.width - edge - notes - 8);
  const double unit = longest > 0 ? (right - left) / longest : 0;

  double y = 34;
  std::string body = svg_text(edge, 19, chart.title, "sv-title") + bar_legend(chart, y);
  const double first = y;
  std::string bars;
  for (const BarGroup& group : chart.groups) {
    for (const std::string& line : wrapped(shown_name(group.name), chart.width - 2 * edge)) {
      bars += svg_text(edge, y + 14, line, "sv-name");
      y += name_pitch;
    }
    y += name_gap;
    for (const Bar& bar : group.bars) {
      if (!bar.name.empty()) bars += svg_text(left - 6, y + 12, bar.name, "sv-soft", "end");
      double x = left;
      for (std::size_t i = 0; i < bar.parts.size() && i < 4; ++i) {
        const double width = unit * bar_part(bar.parts[i]);
        if (width > 0.05) bars += svg_box(x, y, width, bar_height, part_class(i));
        x += width;
      }
      bars += svg_text(x + 6, y + 12, bar.note, "sv-halo");
      y += bar_pitch;
    }
    y += group_gap;
  }
  if (longest > 0) {
    const auto touch = [unit](const Tick& a, const Tick& b) {
      return unit * (b.at - a.at) < text_width(a.label) / 2 + text_width(b.label) / 2 + 5;
    };
    std::vector<Tick> ticks;
    for (int about = 4; about >= 1; --about) {
      ticks = linear_ticks(0, longest, chart.unit, about);
      if (std::ranges::adjacent_find(ticks, touch) == ticks.end()) break;
    }
    for (const Tick& tick : ticks) {
      const double x = left + unit * tick.at;
      body += svg_line(x, first, x, y, "sv-grid");
      body +=
          svg_text(std::max(x, text_width(tick.label) / 2 + 2), y + 17, tick.label, "", "middle");
    }
    y += 24;
    if (!chart.label.empty()) {
      bars += svg_text((left + right) / 2, y + 13, chart.label, "sv-soft", "middle");
      y += 22;
    }
  } else {
    y += 8;
    if (chart.groups.empty()) {
      bars += svg_text(chart.width / 2, y + 14, "no data", "sv-soft", "middle");
      y += 30;
    }
  }
  return svg_begin(chart.width, y, chart.title, chart.label) + body + bars + "</svg>\n";
}

}  // namespace splitvit::inline SPLITVIT_BUILD::report
