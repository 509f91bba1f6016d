// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min
#include <cmath>      // sqrt

#include <splitvit/core/parallel.hpp>  // parallel_reduce
#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/data/concepts.hpp>  // Dataset, ImageSet
#include <splitvit/tensor/tensor.hpp>  // Tensor

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

/// Measured over all pixels of all images, or of `most` images that are evenly spread if there are
/// more; 0: all. A grey set gives three equal channels.
/// Errors  std::invalid_argument for an empty set; what the set's image() throws.
template <Dataset Set = ImageSet>
ChannelStatistics channel_statistics(const Set& set, Index most = 0) {
  if (set.size() < 1) throw std::invalid_argument("channel_statistics: no images");
  using Counts = std::array<std::array<std::uint64_t, 256>, 3>;  // exact sums, whatever the order
  const Index samples = most > 0 ? std::min(most, set.size()) : set.size();
  const Counts counts = parallel_reduce(
      samples, 64, Counts{},
      [&](Index begin, Index end) {
        Counts out{};
        for (Index i = begin; i < end; ++i) {
          const Tensor<std::uint8_t> image = set.image(i * set.size() / samples);
          const Index plane = image.dim(1) * image.dim(2);
          for (std::size_t c = 0; c < 3; ++c) {
            const std::uint8_t* values =
                image.data() + (static_cast<Index>(c) % image.dim(0)) * plane;
            for (Index p = 0; p < plane; ++p) ++out[c][values[p]];
          }
        }
        return out;
      },
      [](Counts a, const Counts& b) {
        for (std::size_t c = 0; c < 3; ++c)
          for (std::size_t v = 0; v < 256; ++v) a[c][v] += b[c][v];
        return a;
      });
  ChannelStatistics out;
  for (std::size_t c = 0; c < 3; ++c) {
    std::uint64_t pixels = 0;
    for (const std::uint64_t count : counts[c]) pixels += count;
    const auto total = static_cast<double>(pixels);
    double mean = 0.0, square = 0.0;
    for (std::size_t v = 0; v < 256; ++v) {
      const double value = static_cast<double>(v) / 255.0;
      mean += static_cast<double>(counts[c][v]) / total * value;
      square += static_cast<double>(counts[c][v]) / total * value * value;
    }
    out.mean[c] = mean;
    // A channel of one value has no deviation; it must not be divided by zero.
    out.deviation[c] = std::max(std::sqrt(std::max(square - mean * mean, 0.0)), 1.0 / 255.0);
  }
  return out;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::data
