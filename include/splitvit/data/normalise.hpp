// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max
#include <cmath>      // sqrt

#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/data/concepts.hpp>  // ImageSet

namespace splitvit::inline SPLITVIT_BUILD::data {

/// Of each colour channel: a value v in 0..255 becomes (v / 255 - mean) / deviation. A grey image
/// uses the first.
struct ChannelStatistics {
  std::array<double, 3> mean = {0.5, 0.5, 0.5};
  std::array<double, 3> deviation = {0.25, 0.25, 0.25};
};

/// What models trained on ImageNet expect, the usual pretrained weights among them.
inline constexpr ChannelStatistics imagenet_statistics = {.mean = {0.485, 0.456, 0.406},
                                                          .deviation = {0.229, 0.224, 0.225}};

/// Measured over all pixels of all images; a grey set gives three equal channels.
/// Errors  std::invalid_argument for an empty set.
inline ChannelStatistics channel_statistics(const ImageSet& set) {
  if (set.images.empty()) throw std::invalid_argument("channel_statistics: no images");
  ChannelStatistics out;
  const Index channels = set.images.dim(1);
  const Index plane = set.images.dim(2) * set.images.dim(3);
  for (std::size_t c = 0; c < 3; ++c) {
    std::array<std::uint64_t, 256> count{};  // exact sums, whatever the order
    for (Index i = 0; i < set.images.dim(0); ++i) {
      const std::uint8_t* values =
          set.images.data() + (i * channels + static_cast<Index>(c) % channels) * plane;
      for (Index p = 0; p < plane; ++p) ++count[values[p]];
    }
    const auto total = static_cast<double>(set.images.dim(0) * plane);
    double mean = 0.0, square = 0.0;
    for (std::size_t v = 0; v < 256; ++v) {
      const double value = static_cast<double>(v) / 255.0;
      mean += static_cast<double>(count[v]) / total * value;
      square += static_cast<double>(count[v]) / total * value * value;
    }
    out.mean[c] = mean;
    // A channel of one value has no deviation; it must not be divided by zero.
    out.deviation[c] = std::max(std::sqrt(std::max(square - mean * mean, 0.0)), 1.0 / 255.0);
  }
  return out;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::data
