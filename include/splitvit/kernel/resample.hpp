// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min
#include <cmath>      // abs, ceil

#include <splitvit/core/shape.hpp>  // Index

namespace splitvit::inline SPLITVIT_BUILD::kernel {

/// Bicubic resampling along one axis: for each of `to` places the `from` places that it is computed
/// from, and their weights, with sum 1. Keys' cubic kernel (a = -0.5) with centres at half places;
/// when shrinking, widened by the same factor, to avoid aliasing. The same as Pillow's BICUBIC and
/// as PyTorch's bicubic with antialiasing.
struct Resample {
  Index from, to;
  Index taps;                       ///< weights a place, the last ones may be unused
  std::vector<Index> first, count;  ///< `to` values each
  std::vector<double> weights;      ///< (to, taps)

  Resample(Index from_size, Index to_size) : from{from_size}, to{to_size} {
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    const double stretch = std::max(scale, 1.0);
    const double support = 2.0 * stretch;
    taps = static_cast<Index>(std::ceil(support)) * 2 + 1;
    weights.resize(static_cast<std::size_t>(to * taps));
    for (Index place = 0; place < to; ++place) {
      const double centre = (static_cast<double>(place) + 0.5) * scale;
      const Index begin = std::max<Index>(0, static_cast<Index>(centre - support + 0.5));
      const Index end = std::min(from, static_cast<Index>(centre + support + 0.5));
      double* weight = weights.data() + place * taps;
      double sum = 0;
      for (Index k = begin; k < end; ++k) {
        weight[k - begin] = cubic((static_cast<double>(k) - centre + 0.5) / stretch);
        sum += weight[k - begin];
      }
      for (Index k = begin; k < end; ++k) weight[k - begin] /= sum;
      first.push_back(begin);
      count.push_back(end - begin);
    }
  }

 private:
  static double cubic(double x) {
    x = std::abs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * -0.5;
    return 0;
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
