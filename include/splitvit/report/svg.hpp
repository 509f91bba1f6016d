// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min, stable_sort
#include <cmath>      // abs, ceil, floor, hypot, isfinite, isnan, log, nan, pow
#include <numeric>    // iota

#include <splitvit/report/detail/svg_parts.hpp>  // svg_begin, svg_marker, svg_text
#include <splitvit/report/ticks.hpp>             // Unit, linear_ticks, log_ticks

namespace splitvit::inline SPLITVIT_BUILD::report {

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

namespace detail {
/// From values to pixels.
struct Scale {
  double low = 0, high = 1;  ///< values
  double from = 0, to = 1;   ///< pixels
  bool logarithmic = false;

  double operator()(double value) const {
    const auto f = [this](double v) { return logarithmic ? std::log(v) : v; };
    const double part = (f(value) - f(low)) / (f(high) - f(low));
    return from + (to - from) * std::min(1.0, std::max(0.0, part));  // 0 for NaN
  }
};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void take(double value) {  // NaN changes nothing
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

/// A label that wants to stand right of (x, y), centred on y. In pixels.
struct Label {
  double x = 0;
  double y = 0;
  double width = 0;
};

/// The y nearby at which the label covers the fewest obstacles, which are points.
inline double freest_y(const Label& label, double height, const std::vector<Point>& obstacles) {
  double best = label.y, best_cost = std::numeric_limits<double>::infinity();
  for (const double shift : {0.0, -0.5, 0.5, -0.9, 0.9, -1.4, 1.4, -2.0, 2.0}) {
    const double y = label.y + shift * height;
    double cost = std::abs(shift);
    for (const Point& point : obstacles)
      if (point.x >= label.x - 2 && point.x <= label.x + label.width &&
          std::abs(point.y - y) < height / 2)
        cost += 0.25;
    if (cost < best_cost) {
      best = y;
      best_cost = cost;
    }
  }
  return best;
}

/// The y of each label, such that no two boxes of this height overlap and labels keep the order of
/// their lines. Centres stay in [low, high] where that has room for all.
inline std::vector<double> place_labels(const std::vector<Label>& labels, double height, double low,
                                        double high, const std::vector<Point>& obstacles) {
  const std::size_t n = labels.size();
  std::vector<std::size_t> order(n);  // from top to bottom
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return labels[i].y; });
  const auto beside = [&](std::size_t a, std::size_t b) {
    return labels[a].x < labels[b].x + labels[b].width &&
           labels[b].x < labels[a].x + labels[a].width;
  };
  const auto within = [&](double y) { return std::max(low, std::min(high, y)); };

  std::vector<double> y(n);
  for (std::size_t i = 0; i < n; ++i) y[i] = within(freest_y(labels[i], height, obstacles));
  // neighbours share the push, so that a heap of labels spreads around its middle
  for (int round = 0; round < 200; ++round)
    for (std::size_t a = 0; a < n; ++a)
      for (std::size_t b = a + 1; b < n; ++b) {
        const std::size_t upper = order[a], lower = order[b];
        const double missing = height - (y[lower] - y[upper]);
        if (missing <= 0 || !beside(upper, lower)) continue;
        y[upper] = within(y[upper] - missing / 2);
        y[lower] = within(y[lower] + missing / 2);
      }
  // what is left of overlaps goes downwards, and what then hangs out comes back up
  for (std::size_t b = 0; b < n; ++b)
    for (std::size_t a = 0; a < b; ++a)
      if (beside(order[a], order[b])) y[order[b]] = std::max(y[order[b]], y[order[a]] + height);
  for (std::size_t a = n; a-- > 0;) {
    y[order[a]] = std::min(y[order[a]], high);
    for (std::size_t b = a + 1; b < n; ++b)
      if (beside(order[a], order[b])) y[order[a]] = std::min(y[order[a]], y[order[b]] - height);
  }
  return y;
}

/// Draws one chart. Numbers without units are pixels.
class LineChart {
 public:
  explicit LineChart(const Chart& chart) : chart_{chart} {
    Range x, y;
    for (std::size_t i = 0; i < chart.series.size(); ++i) {
      const Series& series = chart.series[i];
      Line line{shown_name(series.name), series.style.value_or(i + 1), {}};
      for (Point p : series.points) {
        if (!drawable(p.x) || !drawable(p.y) || (chart.log_x && p.x <= 0)) continue;
        if (!(drawable(p.low) && drawable(p.high) && p.low < p.high)) p.low = p.high = std::nan("");
        line.points.push_back(p);
        x.take(p.x);
        y.take(p.low);
        y.take(p.y);
        y.take(p.high);
      }
      if (!line.points.empty()) lines_.push_back(std::move(line));
    }
    height_ = std::max(chart.height,
                       top + bottom + line_height * (2.0 + static_cast<double>(lines_.size())));
    if (!lines_.empty()) lay_out(widened_x(x, chart.log_x), widened_y(y, chart.y_unit));
    if (has_legend_) draw_legend();
  }

  std::string text() const {
    const std::string about = chart_.y_label + " against " + chart_.x_label;
    std::string out = svg_begin(chart_.width, height_, chart_.title, about);
    out += svg_text(edge, 19, chart_.title, "sv-title");
    if (lines_.empty()) {
      out += svg_text(chart_.width / 2, height_ / 2, "no data", "sv-soft", "middle");
    } else {
      out += axes();
      for (const Line& line : lines_) out += band(line);
      for (const Line& line : lines_) out += curve(line);
      out += has_legend_ ? legend_ : names();
    }
    return out + "</svg>\n";
  }

 private:
  static constexpr double top = 58, bottom = 46, line_height = 16;

  struct Line {
    std::string name;
    std::size_t style;
    std::vector<Point> points;  ///< low and high are NaN where there is no band
  };

  /// Finite, and of a size that leaves room for arithmetic.
  static bool drawable(double value) { return std::isfinite(value) && std::abs(value) < 1e200; }
  static bool has_band(const Point& p) { return !std::isnan(p.low); }

  /// Decides where the axes and their marks are, and moves all points to their pixels.
  void lay_out(Range x, Range y) {
    y_ticks_ = linear_ticks(y.low, y.high, chart_.y_unit);
    double left = 20;
    for (const Tick& tick : y_ticks_) left = std::max(left, text_width(tick.label) + edge + 8);
    x_ = {x.low, x.high, left, chart_.width - edge, chart_.log_x};
    y_ = {y.low, y.high, height_ - bottom, top, false};
    // As much room at the right as the names need, given where their lines end. If that leaves too
    // little for the lines, or a name covers the end of another line, the names come below.
    const double full = chart_.width - left, without_names = full - 24;
    double plot = without_names;
    for (const Line& line : lines_) {
      const double part = (x_(line.points.back().x) - x_.from) / (x_.to - x_.from);
      const double room = full - bold_width(line.name) - 20;
      plot = std::min(plot, part > 0 ? room / part : room < 0 ? 0 : plot);
    }
    x_.to = left + plot;
    has_legend_ = plot < 0.4 * full || names_cover_ends();
    if (has_legend_) {
      x_.to = left + without_names;
      y_.from = chart_.height - bottom;
    }
    const auto touch = [this](const Tick& a, const Tick& b) {
      return x_(b.at) - x_(a.at) < text_width(a.label) / 2 + text_width(b.label) / 2 + 8;
    };
    for (int about = 6; about >= 1; --about) {
      x_ticks_ = chart_.log_x ? log_ticks(x.low, x.high, chart_.x_unit, about)
                              : linear_ticks(x.low, x.high, chart_.x_unit, about);
      if (std::ranges::adjacent_find(x_ticks_, touch) == x_ticks_.end()) break;
    }
    for (Line& line : lines_)
      for (Point& p : line.points)
        p = has_band(p) ? Point{x_(p.x), y_(p.y), y_(p.low), y_(p.high)} : Point{x_(p.x), y_(p.y)};
  }

  /// Before points are moved to their pixels.
  bool names_cover_ends() const {
    for (const Line& line : lines_)
      for (const Line& other : lines_) {
        const Point &end = line.points.back(), &covered = other.points.back();
        const double right = x_(covered.x) - x_(end.x) - 9;  // of where the name begins
        if (right > -4 && right < bold_width(line.name) + 8 &&
            std::abs(y_(covered.y) - y_(end.y)) < line_height)
          return true;
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

  std::string band(const Line& line) const {
    std::string forth, back;
    for (const Point& p : line.points) {
      if (!has_band(p) || chart_.error_bars) continue;
      forth += (forth.empty() ? "M" : "L") + xy(p.x, p.high);
      back = "L" + xy(p.x, p.low) + back;
    }
    return forth.empty() ? "" : svg_path("sv-band " + colour_class(line.style), forth + back + "z");
  }

  static std::string error_bar(const Point& p, std::size_t style) {
    if (!has_band(p)) return {};
    const std::string look = "sv-bar " + colour_class(style);
    constexpr double cap = 3.5;
    return svg_line(p.x, p.low, p.x, p.high, look) +
           svg_line(p.x - cap, p.low, p.x + cap, p.low, look) +
           svg_line(p.x - cap, p.high, p.x + cap, p.high, look);
  }

  std::string curve(const Line& line) const {
    std::string path;
    for (const Point& p : line.points) path += (path.empty() ? "M" : "L") + xy(p.x, p.y);
    std::string out;
    if (line.points.size() > 1)
      out = svg_path("sv-line " + colour_class(line.style), path, dashes_of(line.style));
    // markers from the end backwards, as many as stay apart; of a long line, about eight
    const double apart = line.points.size() <= 16 ? 11 : (x_.to - x_.from) / 8;
    const Point* last = nullptr;
    for (auto p = line.points.rbegin(); p != line.points.rend(); ++p) {
      if (last != nullptr && std::hypot(p->x - last->x, p->y - last->y) < apart) continue;
      if (chart_.error_bars) out += error_bar(*p, line.style);
      out += svg_marker(p->x, p->y, line.style);
      last = &*p;
    }
    return out;
  }

  /// The names below the axis, each behind a piece of its line. The drawing grows.
  void draw_legend() {
    constexpr double text = edge + 36;
    height_ = chart_.height + 4;
    for (const Line& line : lines_) {
      const double y = height_ + line_height / 2, middle = (edge + text - 8) / 2;
      legend_ += svg_path("sv-line " + colour_class(line.style),
                          "M" + xy(edge, y) + "L" + xy(text - 8, y), dashes_of(line.style)) +
                 svg_marker(middle, y, line.style);
      for (const std::string& piece : wrapped(line.name, chart_.width - edge - text)) {
        legend_ += svg_text(text, height_ + 12.5, piece, "sv-name " + colour_class(line.style));
        height_ += line_height;
      }
      height_ += 3;
    }
    height_ += 4;
  }

  std::string names() const {
    std::vector<Label> labels;
    std::vector<Point> covered;
    for (const Line& line : lines_) {
      const Point& end = line.points.back();
      labels.push_back({end.x + 9, end.y, bold_width(line.name) + 4});
      Point from = line.points.front();
      for (const Point& to : line.points) {
        const double pieces = std::ceil(std::abs(to.x - from.x) / 6 + 1);
        for (double k = 1; k <= pieces; ++k)
          covered.push_back(
              {from.x + (to.x - from.x) * k / pieces, from.y + (to.y - from.y) * k / pieces});
        from = covered.back();
      }
    }
    const auto at =
        place_labels(labels, line_height, y_.to - 2, y_.from - line_height / 2, covered);
    std::string leads, texts;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      const double x = labels[i].x, y = labels[i].y;
      const std::string colour = colour_class(lines_[i].style);
      if (std::abs(at[i] - y) > 9) leads += svg_line(x - 4, y, x - 1, at[i], "sv-lead " + colour);
      texts += svg_text(x, at[i] + 4.5, lines_[i].name, "sv-halo sv-name " + colour);
    }
    return leads + texts;
  }

  const Chart& chart_;
  std::vector<Line> lines_;
  double height_ = 0;
  bool has_legend_ = false;  ///< because the names are too long for the ends of their lines
  std::string legend_;
  Scale x_, y_;
  std::vector<Tick> x_ticks_, y_ticks_;
};
}  // namespace detail

/// The chart as an <svg> element. Each line carries its name at its end; long names stand in a
/// legend below. Lines differ by colour, by marker and by dashes.
inline std::string render_svg(const Chart& chart) { return detail::LineChart{chart}.text(); }

}  // namespace splitvit::inline SPLITVIT_BUILD::report
