// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // min, max
#include <cmath>       // isfinite
#include <cstddef>     // size_t
#include <cstdint>     // uint64_t
#include <functional>  // function
#include <map>         // map
#include <optional>    // optional
#include <span>        // span
#include <string>      // string
#include <utility>     // move
#include <vector>      // vector

#include <splitvit/report/bars.hpp>     // Bar, BarChart
#include <splitvit/report/format.hpp>   // human_bytes, human_seconds
#include <splitvit/report/run.hpp>      // Row, Run
#include <splitvit/report/summary.hpp>  // Summary
#include <splitvit/report/svg.hpp>      // Chart, Point, Series

// The charts that a report shows, made from runs. A method has one line: the mean over its
// seeds, with a band or bars from the lowest to the highest.

namespace splitvit::report {

Chart accuracy_against_bytes(std::span<const Run> runs, std::span<const Summary> groups);
/// Against steps where an epoch has several rows.
Chart accuracy_against_epochs(std::span<const Run> runs, std::span<const Summary> groups);
Chart accuracy_against_time(std::span<const Run> runs, std::span<const Summary> groups);
Chart loss_against_steps(std::span<const Run> runs, std::span<const Summary> groups);
BarChart traffic_bars(std::span<const Summary> groups);
BarChart time_bars(std::span<const Summary> groups);

namespace detail {

using RowValue = std::function<std::optional<double>(const Row&)>;

/// Whether all runs of a group have as many rows. Then the rows belong together one by one, even
/// where the bytes of a step depend on the seed, and a budget of them ends at different steps.
inline bool rows_match(std::span<const Run> runs, const Summary& group) {
  for (const std::size_t place : group.runs)
    if (runs[place].rows.size() != runs[group.runs.front()].rows.size()) return false;
  return true;
}

/// Where a group's seeds stand at the same row or step: means of x and y, least and greatest y.
/// Steps that some seed has not reached are left out: what remains there would not be comparable.
inline std::vector<Point> mean_line(std::span<const Run> runs, const Summary& group,
                                    const RowValue& x, const RowValue& y) {
  struct Sum {
    double x = 0, y = 0, low = 0, high = 0;
    std::size_t count = 0;
  };
  std::map<std::uint64_t, Sum> at;
  std::size_t most = 0;
  const bool by_row = rows_match(runs, group);
  for (const std::size_t place : group.runs) {
    std::optional<std::uint64_t> before;
    std::uint64_t number = 0;
    for (const Row& row : runs[place].rows) {
      ++number;
      const auto px = x(row), py = y(row);
      if (!px || !py || !std::isfinite(*px) || !std::isfinite(*py) || before == row.step) continue;
      before = row.step;
      Sum& sum = at[by_row ? number : row.step];
      sum.low = sum.count == 0 ? *py : std::min(sum.low, *py);
      sum.high = sum.count == 0 ? *py : std::max(sum.high, *py);
      sum.x += *px;
      sum.y += *py;
      most = std::max(most, ++sum.count);
    }
  }
  std::vector<Point> line;
  for (const auto& entry : at) {
    const Sum& sum = entry.second;
    if (sum.count < most) continue;
    const auto n = static_cast<double>(sum.count);
    Point point{.x = sum.x / n, .y = sum.y / n};
    if (sum.count > 1) {
      point.low = sum.low;
      point.high = sum.high;
    }
    line.push_back(point);
  }
  return line;
}

/// At most about `limit` points: means of as many neighbours as it takes. The last stays.
inline std::vector<Point> thinned(std::vector<Point> line, std::size_t limit) {
  if (line.size() <= limit) return line;
  const std::size_t bunch = (line.size() + limit - 1) / limit;
  std::vector<Point> out;
  for (std::size_t begin = 0; begin < line.size(); begin += bunch) {
    const std::size_t end = std::min(line.size(), begin + bunch);
    const auto n = static_cast<double>(end - begin);
    Point mean{.x = line[end - 1].x, .y = 0, .low = 0, .high = 0};
    for (std::size_t i = begin; i < end; ++i) {
      mean.y += line[i].y / n;
      mean.low += line[i].low / n;
      mean.high += line[i].high / n;
    }
    out.push_back(mean);
  }
  return out;
}

/// One line a group; the reference has style 0, the others count from 1 in every chart alike.
inline std::vector<Series> lines(std::span<const Run> runs, std::span<const Summary> groups,
                                 const RowValue& x, const RowValue& y) {
  std::vector<Series> out;
  std::size_t style = 0;
  bool reference = false;
  for (const Summary& group : groups) {
    const bool first_reference = group.method == reference_method && !reference;
    reference = reference || first_reference;
    if (!first_reference) ++style;
    out.push_back({group.label, thinned(mean_line(runs, group, x, y), 400),
                   first_reference ? std::size_t{0} : style});
  }
  return out;
}

inline std::optional<double> accuracy_of(const Row& row) { return row.test_accuracy; }

}  // namespace detail

inline Chart accuracy_against_bytes(std::span<const Run> runs, std::span<const Summary> groups) {
  const auto bytes = [](const Row& row) -> std::optional<double> {
    return static_cast<double>(row.traffic.total());
  };
  return {.title = "Accuracy for the bytes spent",
          .x_label = "bytes over the link, both directions",
          .y_label = "test accuracy",
          .x_unit = Unit::bytes,
          .y_unit = Unit::percent,
          .log_x = true,
          .error_bars = true,
          .series = detail::lines(runs, groups, bytes, detail::accuracy_of)};
}

inline Chart accuracy_against_epochs(std::span<const Run> runs, std::span<const Summary> groups) {
  bool by_step = false;  // where an epoch has several rows
  for (const Run& run : runs)
    for (std::size_t i = 1; i < run.rows.size(); ++i)
      by_step = by_step || (run.rows[i].epoch == run.rows[i - 1].epoch &&
                            run.rows[i].step != run.rows[i - 1].step);
  const auto epoch = [by_step](const Row& row) -> std::optional<double> {
    return static_cast<double>(by_step ? row.step : row.epoch);
  };
  return {.title = by_step ? "Accuracy by step" : "Accuracy by epoch",
          .x_label = by_step ? "steps" : "epochs",
          .y_label = "test accuracy",
          .x_unit = Unit::count,
          .y_unit = Unit::percent,
          .series = detail::lines(runs, groups, epoch, detail::accuracy_of)};
}

inline Chart accuracy_against_time(std::span<const Run> runs, std::span<const Summary> groups) {
  const auto time = [](const Row& row) -> std::optional<double> { return row.seconds.total(); };
  return {.title = "Accuracy by time",
          .x_label = "training time",
          .y_label = "test accuracy",
          .x_unit = Unit::seconds,
          .y_unit = Unit::percent,
          .series = detail::lines(runs, groups, time, detail::accuracy_of)};
}

inline Chart loss_against_steps(std::span<const Run> runs, std::span<const Summary> groups) {
  const auto step = [](const Row& row) -> std::optional<double> {
    return static_cast<double>(row.step);
  };
  const auto loss = [](const Row& row) -> std::optional<double> { return row.loss; };
  return {.title = "Training loss",
          .x_label = "steps",
          .y_label = "mean loss since the point before",
          .x_unit = Unit::count,
          .series = detail::lines(runs, groups, step, loss)};
}

inline BarChart traffic_bars(std::span<const Summary> groups) {
  BarChart chart{.title = "Traffic by direction",
                 .label = "bytes over the link in training",
                 .unit = Unit::bytes,
                 .parts = {"payload", "framing"}};
  const auto bar = [](const char* name, const split::Bytes& bytes) {
    const auto total = static_cast<double>(bytes.total());
    const auto framing = static_cast<double>(bytes.framing);
    std::string note = human_bytes(total);
    if (framing > 0) note += " (framing " + human_bytes(framing) + ")";
    return Bar{name, {static_cast<double>(bytes.payload), framing}, note};
  };
  for (const Summary& group : groups)
    chart.groups.push_back(
        {group.label, {bar("up", group.traffic.up), bar("down", group.traffic.down)}});
  return chart;
}

inline BarChart time_bars(std::span<const Summary> groups) {
  BarChart chart{.title = "Where the time went",
                 .label = "training time",
                 .unit = Unit::seconds,
                 .parts = {"client", "compression", "server", "link"}};
  for (const Summary& group : groups) {
    const split::Seconds& s = group.seconds;
    chart.groups.push_back(
        {group.label,
         {{"", {s.client, s.compression, s.server, s.link}, human_seconds(s.total())}}});
  }
  return chart;
}

}  // namespace splitvit::report
