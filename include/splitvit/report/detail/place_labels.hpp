// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min, stable_sort
#include <cmath>      // abs
#include <cstddef>    // size_t
#include <numeric>    // iota
#include <vector>     // vector

// Where the names of lines go: beside their ends, pushed apart where two would overlap.

namespace splitvit::report::detail {

/// A label that wants to stand right of (x, y), centred on y. In pixels.
struct Label {
  double x = 0;
  double y = 0;
  double width = 0;
};

/// A point that labels had better not cover.
struct Obstacle {
  double x = 0;
  double y = 0;
};

/// The y nearby at which the label covers the fewest obstacles.
inline double freest_y(const Label& label, double height, const std::vector<Obstacle>& obstacles) {
  double best = label.y;
  double best_cost = -1;
  for (const double shift : {0.0, -0.5, 0.5, -0.9, 0.9, -1.4, 1.4, -2.0, 2.0}) {
    const double y = label.y + shift * height;
    double cost = std::abs(shift);
    for (const Obstacle& point : obstacles)
      if (point.x >= label.x - 2 && point.x <= label.x + label.width &&
          std::abs(point.y - y) < height / 2)
        cost += 0.25;
    if (best_cost < 0 || cost < best_cost) {
      best = y;
      best_cost = cost;
    }
  }
  return best;
}

/// The y of each label, such that no two boxes of this height overlap. Labels above each other
/// keep the order of their lines. Centres stay in [low, high] where that has room for all.
inline std::vector<double> place_labels(const std::vector<Label>& labels, double height, double low,
                                        double high, const std::vector<Obstacle>& obstacles) {
  const std::size_t n = labels.size();
  std::vector<std::size_t> order(n);  // from top to bottom
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return labels[a].y < labels[b].y; });
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

}  // namespace splitvit::report::detail
