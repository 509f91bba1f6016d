// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n, fill_n, reverse

#include <splitvit/core/random.hpp>    // Rng
#include <splitvit/core/shape.hpp>     // Index, ShapeError
#include <splitvit/tensor/tensor.hpp>  // TensorView

namespace splitvit::inline SPLITVIT_BUILD::data {

/// Mirrors an image left to right. Shapes  image (channels, height, width).
inline void flip_horizontally(TensorView<std::uint8_t> image) {
  const Index width = image.shape().back();
  for (Index row = 0; row < image.shape().rows(); ++row)
    std::reverse(image.data() + row * width, image.data() + (row + 1) * width);
}

/// Moves an image `down` and `right`; what moves in is black.
/// Shapes  image (channels, height, width).
inline void shift(TensorView<std::uint8_t> image, Index down, Index right) {
  if (image.shape().rank() != 3)
    throw ShapeError({"shift: image ", image.shape().text(), ", wanted 3 extents"});
  const Index height = image.dim(1), width = image.dim(2);
  const std::vector<std::uint8_t> before(image.span().begin(), image.span().end());
  std::fill_n(image.data(), image.size(), std::uint8_t{0});
  const Index kept = width - (right < 0 ? -right : right);
  if (kept <= 0) return;
  for (Index c = 0; c < image.dim(0); ++c)
    for (Index row = 0; row < height; ++row) {
      const Index source = row - down;
      if (source < 0 || source >= height) continue;
      std::copy_n(before.data() + (c * height + source) * width + (right < 0 ? -right : 0), kept,
                  image.data() + (c * height + row) * width + (right < 0 ? 0 : right));
    }
}

/// Small random changes to a training image that leave its label true.
struct Augment {
  bool flip = false;  ///< left to right, every second time
  Index padding = 0;  ///< a border of so many black pixels, then a crop of the old size

  /// Shapes  image (channels, height, width).
  /// Errors  std::invalid_argument if padding is negative.
  void operator()(TensorView<std::uint8_t> image, Rng& rng) const {
    if (padding < 0) throw ArgumentError({"Augment: padding must not be negative, got ", padding});
    if (flip && rng.below(2) == 1) flip_horizontally(image);
    if (padding > 0) {
      const Index down = rng.below(2 * padding + 1) - padding;
      const Index right = rng.below(2 * padding + 1) - padding;
      shift(image, down, right);
    }
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::data
