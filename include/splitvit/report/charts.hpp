// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // all_of, max, min
#include <cmath>       // isfinite
#include <functional>  // function
#include <map>         // map

#include <splitvit/report/bars.hpp>     // Bar, BarChart
#include <splitvit/report/format.hpp>   // human_bytes, human_seconds
#include <splitvit/report/run.hpp>      // Row, Run
#include <splitvit/report/summary.hpp>  // Summary
#include <splitvit/report/svg.hpp>      // Chart, Point, Series

// The charts of a report. A method has one line: the mean of its seeds, with bars or a band for
// all.

namespace splitvit::inline SPLITVIT_BUILD::report {

namespace detail {
using RowValue = std::function<std::optional<double>(const Row&)>;

/// Where a group's seeds stand at the same row or step: means of x and y, least and greatest y.
/// Steps that some seed has not reached are left out.
inline std::vector<Point> mean_line(std::span<const Run> runs, const Summary& group,
                                    const RowValue& x, const RowValue& y) {
  struct Sum {
    double x = 0, y = 0, low = 0, high = 0;
    std::size_t count = 0;
  };
  // Runs with equally many rows meet row by row: a budget of bytes may end at different steps.
  const bool by_row = std::ranges::all_of(group.runs, [&](std::size_t place) {
    return runs[place].rows.size() == runs[group.runs.front()].rows.size();
  });
  std::map<std::uint64_t, Sum> at;
  std::size_t most = 0;
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
  for (const auto& [key, sum] : at) {
    if (sum.count < most) continue;
    const auto n = static_cast<double>(sum.count);
    line.push_back({.x = sum.x / n, .y = sum.y / n});
    if (sum.count == 1) continue;
    line.back().low = sum.low;
    line.back().high = sum.high;
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
  std::size_t next = 1;
  const auto reference = std::ranges::find(groups, reference_method, &Summary::method);
  for (const Summary& group : groups) {
    const bool is_reference = reference != groups.end() && &group == &*reference;
    out.push_back(
        {group.label, thinned(mean_line(runs, group, x, y), 400), is_reference ? 0 : next++});
  }
  return out;
}

inline Chart accuracy_chart(std::span<const Run> runs, std::span<const Summary> groups,
                            const std::string& title, const std::string& x_label, Unit x_unit,
                            const RowValue& x) {
  return {.title = title,
          .x_label = x_label,
          .y_label = "test accuracy",
          .x_unit = x_unit,
          .y_unit = Unit::percent,
          .series = lines(runs, groups, x, [](const Row& row) { return row.test_accuracy; })};
}

inline double step_of(const Row& row) { return static_cast<double>(row.step); }
}  // namespace detail

inline Chart accuracy_against_bytes(std::span<const Run> runs, std::span<const Summary> groups) {
  auto chart = detail::accuracy_chart(
      runs, groups, "Accuracy for the bytes spent", "bytes over the link, both directions",
      Unit::bytes, [](const Row& row) { return static_cast<double>(row.traffic.total()); });
  chart.log_x = chart.error_bars = true;
  return chart;
}

/// Against steps where an epoch has several rows.
inline Chart accuracy_against_epochs(std::span<const Run> runs, std::span<const Summary> groups) {
  const auto of_one_epoch = [](const Row& a, const Row& b) {
    return a.epoch == b.epoch && a.step != b.step;
  };
  for (const Run& run : runs)
    if (std::ranges::adjacent_find(run.rows, of_one_epoch) != run.rows.end())
      return detail::accuracy_chart(runs, groups, "Accuracy by step", "steps", Unit::count,
                                    detail::step_of);
  return detail::accuracy_chart(runs, groups, "Accuracy by epoch", "epochs", Unit::count,
                                [](const Row& row) { return static_cast<double>(row.epoch); });
}

inline Chart accuracy_against_time(std::span<const Run> runs, std::span<const Summary> groups) {
  return detail::accuracy_chart(runs, groups, "Accuracy by time", "training time", Unit::seconds,
                                [](const Row& row) { return row.seconds.total(); });
}

inline Chart loss_against_steps(std::span<const Run> runs, std::span<const Summary> groups) {
  return {.title = "Training loss",
          .x_label = "steps",
          .y_label = "mean loss since the point before",
          .x_unit = Unit::count,
          .series = detail::lines(runs, groups, detail::step_of,
                                  [](const Row& row) { return row.loss; })};
}

inline BarChart traffic_bars(std::span<const Summary> groups) {
  BarChart chart{.title = "Traffic by direction",
                 .label = "bytes over the link in training",
                 .unit = Unit::bytes,
                 .parts = {"payload", "framing"}};
  const auto bar = [](const char* name, const split::Bytes& bytes) {
    std::string note = human_bytes(bytes.total());
    if (bytes.framing > 0) note += " (framing " + human_bytes(bytes.framing) + ")";
    const auto payload = static_cast<double>(bytes.payload);
    return Bar{name, {payload, static_cast<double>(bytes.framing)}, note};
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

}  // namespace splitvit::inline SPLITVIT_BUILD::report
