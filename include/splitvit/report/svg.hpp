// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min
#include <cmath>      // abs, ceil, floor, hypot, isfinite, log, pow
#include <cstddef>    // size_t
#include <limits>     // numeric_limits
#include <optional>   // optional
#include <string>     // string, to_string
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/report/detail/place_labels.hpp>  // place_labels
#include <splitvit/report/detail/svg_parts.hpp>     // svg_begin, svg_marker, svg_text
#include <splitvit/report/ticks.hpp>                // Unit, linear_ticks, log_ticks

// A line chart as SVG: needs no script, no font and no other file.

namespace splitvit::report {

/// A point of a line, with a band or a bar around it where low and high are finite.
struct Point {
  double x = 0;
  double y = 0;
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();
};

struct Series {
  std::string name;
  std::vector<Point> points{};         ///< those that cannot be drawn are left out
  std::optional<std::size_t> style{};  ///< colour, marker and dash; by position if absent
};

struct Chart {
  std::string title;
  std::string x_label{};
  std::string y_label{};
  Unit x_unit = Unit::number;
  Unit y_unit = Unit::number;
  bool log_x = false;       ///< then points with x <= 0 are left out
  bool error_bars = false;  ///< bars at the markers instead of bands
  std::vector<Series> series{};
  double width = 480;   ///< of the view box; the drawing takes the width of what it lies in
  double height = 340;  ///< at least; grows with many series
};

/// The chart as an <svg> element. Each line carries its name at its end; lines differ by colour,
/// by marker and by dashes.
std::string render_svg(const Chart& chart);

namespace detail {

/// From values to pixels.
struct Scale {
  double low = 0, high = 1;  ///< values
  double from = 0, to = 1;   ///< pixels
  bool logarithmic = false;

  double operator()(double value) const {
    const auto f = [this](double v) { return logarithmic ? std::log(v) : v; };
    const double part = (f(value) - f(low)) / (f(high) - f(low));
    return from + (to - from) * std::min(1.0, std::max(0.0, part));
  }
};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

/// Never empty, a little wider than the data; clean numbers at both ends of a linear axis.
inline Range widened_y(Range range, Unit unit) {
  if (range.low == range.high) {
    const double pad = unit == Unit::percent ? 0.05 : std::max(1e-9, 0.1 * std::abs(range.low));
    range = {range.low - pad, range.high + pad};
    if (range.low < 0 && range.high - pad >= 0) range.low = 0;
  }
  for (int round = 0; round < 3; ++round) {  // a wider range may have another step
    const double step = nice_step(range.low, range.high, unit);
    range.low = step * std::floor(range.low / step + 1e-6);
    range.high = step * std::ceil(range.high / step - 1e-6);
    if (unit == Unit::percent) range.high = std::min(range.high, std::max(1.0, range.low + step));
    if (range.high <= range.low) range.high = range.low + step;
  }
  return range;
}

inline Range widened_x(Range range, bool logarithmic) {
  if (logarithmic) {
    const double pad = std::max(1.06, std::pow(range.high / range.low, 0.03));
    return {range.low / pad, range.high * pad};
  }
  if (range.low >= 0 && range.low < 0.3 * range.high) range.low = 0;
  if (range.low == range.high) {
    const double pad = std::max(1e-9, 0.5 * std::abs(range.low));
    return {range.low - pad, range.high + pad};
  }
  return range;
}

/// Draws one chart. Numbers without units are pixels.
class LineChart {
 public:
  explicit LineChart(const Chart& chart) : chart_{chart} {
    Range x, y;
    for (std::size_t i = 0; i < chart.series.size(); ++i) {
      Series kept{chart.series[i].name, {}, chart.series[i].style.value_or(i + 1)};
      for (const Point& p : chart.series[i].points) {
        if (!drawable(p.x) || !drawable(p.y) || (chart.log_x && p.x <= 0)) continue;
        kept.points.push_back(p);
        x.take(p.x);
        y.take(p.y);
        if (has_band(p)) {
          y.take(p.low);
          y.take(p.high);
        }
      }
      if (!kept.points.empty()) series_.push_back(std::move(kept));
    }
    height_ = std::max(chart.height, top + bottom + line_height * (2.0 + double_size()));
    if (!series_.empty()) lay_out(widened_x(x, chart.log_x), widened_y(y, chart.y_unit));
  }

  std::string text() const {
    const std::string about = chart_.y_label + " against " + chart_.x_label;
    std::string out = svg_begin(chart_.width, height_, chart_.title, about);
    out += svg_text(edge, 19, chart_.title, "sv-title");
    if (series_.empty()) {
      out += svg_text(chart_.width / 2, height_ / 2, "no data", "sv-soft", "middle");
    } else {
      out += axes();
      if (!chart_.error_bars)
        for (const Series& line : series_) out += band(line);
      for (const Series& line : series_) out += curve(line);
      out += names();
    }
    return out + "</svg>\n";
  }

 private:
  static constexpr double top = 58, bottom = 46, edge = 8, line_height = 16;

  /// Finite, and of a size that leaves room for arithmetic.
  static bool drawable(double value) { return std::isfinite(value) && std::abs(value) < 1e200; }
  static bool has_band(const Point& p) {
    return drawable(p.low) && drawable(p.high) && p.low < p.high;
  }
  double double_size() const { return static_cast<double>(series_.size()); }
  std::string name_of(const Series& line) const { return shorten(one_line(line.name), 24); }

  void lay_out(Range x, Range y) {
    y_ticks_ = linear_ticks(y.low, y.high, chart_.y_unit);
    double left = 20;
    for (const Tick& tick : y_ticks_) left = std::max(left, text_width(tick.label) + edge + 8);
    x_ = {x.low, x.high, left, chart_.width - edge, chart_.log_x};
    y_ = {y.low, y.high, height_ - bottom, top, false};
    // as much room at the right as the names need, given where their lines end
    const double full = chart_.width - left;
    double plot = full - 24;
    for (const Series& line : series_) {
      const double part = (x_(line.points.back().x) - x_.from) / (x_.to - x_.from);
      const double room = full - text_width(name_of(line)) - 20;
      if (part > 0) plot = std::min(plot, room / part);
    }
    x_.to = left + std::max(plot, full * 0.4);
    // marks must not run into each other
    for (int about = 6; about >= 1; --about) {
      x_ticks_ = chart_.log_x ? log_ticks(x.low, x.high, chart_.x_unit, about)
                              : linear_ticks(x.low, x.high, chart_.x_unit, about);
      if (!crowded()) break;
    }
  }

  bool crowded() const {
    for (std::size_t i = 1; i < x_ticks_.size(); ++i) {
      const double wide = text_width(x_ticks_[i - 1].label) / 2 + text_width(x_ticks_[i].label) / 2;
      if (x_(x_ticks_[i].at) - x_(x_ticks_[i - 1].at) < wide + 8) return true;
    }
    return false;
  }

  std::string axes() const {
    std::string out;
    for (const Tick& tick : y_ticks_) {
      const double at = y_(tick.at);
      out += svg_line(x_.from, at, x_.to, at, "sv-grid");
      out += svg_text(x_.from - 7, at + 4.5, tick.label, "", "end");
    }
    out += svg_line(x_.from, y_.from, x_.to, y_.from, "sv-axis");
    for (const Tick& tick : x_ticks_) {
      const double at = x_(tick.at);
      out += svg_line(at, y_.from, at, y_.from + 5, "sv-axis");
      out += svg_text(at, y_.from + 19, tick.label, "", "middle");
    }
    out += svg_text(edge, 40, chart_.y_label, "sv-soft");
    const std::string note = chart_.log_x ? " (logarithmic)" : "";
    return out + svg_text((x_.from + x_.to) / 2, y_.from + 38, chart_.x_label + note, "sv-soft",
                          "middle");
  }

  std::string band(const Series& line) const {
    std::string forth, back;
    for (const Point& p : line.points) {
      if (!has_band(p)) continue;
      forth += (forth.empty() ? "M" : "L") + xy(x_(p.x), y_(p.high));
      back = "L" + xy(x_(p.x), y_(p.low)) + back;
    }
    if (forth.empty()) return {};
    return "<path class=\"sv-band sv-" + std::to_string(colour_of(*line.style)) + "\" d=\"" +
           forth + back + "z\"/>\n";
  }

  std::string error_bar(const Point& p, std::size_t style) const {
    if (!has_band(p)) return {};
    const std::string look = "sv-bar sv-" + std::to_string(colour_of(style));
    const double x = x_(p.x), low = y_(p.low), high = y_(p.high);
    constexpr double cap = 3.5;
    return svg_line(x, low, x, high, look) + svg_line(x - cap, low, x + cap, low, look) +
           svg_line(x - cap, high, x + cap, high, look);
  }

  std::string curve(const Series& line) const {
    std::string path;
    for (const Point& p : line.points) path += (path.empty() ? "M" : "L") + xy(x_(p.x), y_(p.y));
    std::string out;
    if (line.points.size() > 1)
      out = "<path class=\"sv-line sv-" + std::to_string(colour_of(*line.style)) + "\"" +
            dash_of(*line.style) + " d=\"" + path + "\"/>\n";
    // markers from the end backwards, as many as stay apart; of a long line, about eight
    const double apart = line.points.size() <= 16 ? 11 : (x_.to - x_.from) / 8;
    double last_x = 0, last_y = 0;
    for (std::size_t i = line.points.size(); i-- > 0;) {
      const double x = x_(line.points[i].x), y = y_(line.points[i].y);
      const bool end = i + 1 == line.points.size();
      if (!end && std::hypot(x - last_x, y - last_y) < apart) continue;
      if (chart_.error_bars) out += error_bar(line.points[i], *line.style);
      out += svg_marker(x, y, *line.style);
      last_x = x;
      last_y = y;
    }
    return out;
  }

  std::string names() const {
    std::vector<Label> labels;
    std::vector<Obstacle> lines;
    for (const Series& line : series_) {
      const Point& end = line.points.back();
      labels.push_back({x_(end.x) + 9, y_(end.y), text_width(name_of(line)) + 4});
      for (std::size_t i = 0; i < line.points.size(); ++i) {
        const Obstacle to{x_(line.points[i].x), y_(line.points[i].y)};
        const Obstacle from = i == 0 ? to : lines.back();
        const double pieces = std::ceil(std::abs(to.x - from.x) / 6 + 1);
        for (double k = 1; k <= pieces; ++k)
          lines.push_back(
              {from.x + (to.x - from.x) * k / pieces, from.y + (to.y - from.y) * k / pieces});
      }
    }
    const auto at = place_labels(labels, line_height, y_.to - 2, y_.from - line_height / 2, lines);
    std::string out;
    for (std::size_t i = 0; i < series_.size(); ++i) {
      const std::string colour = " sv-" + std::to_string(colour_of(*series_[i].style));
      if (std::abs(at[i] - labels[i].y) > 9)
        out += svg_line(labels[i].x - 4, labels[i].y, labels[i].x - 1, at[i], "sv-lead" + colour);
    }
    for (std::size_t i = 0; i < series_.size(); ++i) {
      const std::string name = name_of(series_[i]);
      const std::string fill = "sv-name sv-" + std::to_string(colour_of(*series_[i].style));
      out += svg_text(labels[i].x, at[i] + 4.5, name, "sv-halo " + fill);
    }
    return out;
  }

  const Chart& chart_;
  std::vector<Series> series_;
  double height_ = 0;
  Scale x_, y_;
  std::vector<Tick> x_ticks_, y_ticks_;
};

}  // namespace detail

inline std::string render_svg(const Chart& chart) { return detail::LineChart{chart}.text(); }

}  // namespace splitvit::report
