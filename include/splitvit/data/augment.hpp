// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n, fill_n, max, min, reverse
#include <cmath>      // exp, log, round, sqrt

#include <splitvit/core/random.hpp>     // Rng
#include <splitvit/core/shape.hpp>      // Index, ShapeError
#include <splitvit/data/transform.hpp>  // Transform
#include <splitvit/tensor/tensor.hpp>   // Tensor, TensorView

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

/// The part of an image that begins at (top, left).
/// Shapes  image (channels, height, width) -> (channels, rows, columns).
/// Errors  ShapeError if the part is empty or does not lie within the image.
inline Tensor<std::uint8_t> cut_out(const Tensor<std::uint8_t>& image, Index top, Index left,
                                    Index rows, Index columns) {
  if (image.shape().rank() != 3 || top < 0 || left < 0 || rows < 1 || columns < 1 ||
      top + rows > image.dim(1) || left + columns > image.dim(2))
    throw ShapeError({"cut_out: ", rows, " by ", columns, " pixels from (", top, ", ", left,
                      ") of an image ", image.shape().text()});
  auto out = Tensor<std::uint8_t>::uninitialised({image.dim(0), rows, columns});
  std::uint8_t* to = out.data();
  for (Index c = 0; c < image.dim(0); ++c)
    for (Index row = top; row < top + rows; ++row, to += columns)
      std::copy_n(image.data() + (c * image.dim(1) + row) * image.dim(2) + left, columns, to);
  return out;
}

/// Mirrors every second image left to right.
struct Flip {
  Tensor<std::uint8_t> operator()(Tensor<std::uint8_t> image, Rng& rng) const {
    if (rng.below(2) == 1) flip_horizontally(image.view());
    return image;
  }
};

/// A border of black pixels, then a crop of the old size anywhere in it.
/// Errors  std::invalid_argument if padding is negative.
struct Crop {
  Index padding = 4;  ///< pixels on each side

  Tensor<std::uint8_t> operator()(Tensor<std::uint8_t> image, Rng& rng) const {
    if (padding < 0) throw ArgumentError({"Crop: padding must not be negative, got ", padding});
    const Index down = rng.below(2 * padding + 1) - padding;
    const Index right = rng.below(2 * padding + 1) - padding;
    shift(image.view(), down, right);
    return image;
  }
};

/// A part of the image of random area and aspect ratio, which the loader then resizes: the usual
/// augmentation for training from scratch. A part that does not fit is drawn again, ten times; then
/// it is the largest one in the middle whose ratio is allowed.
///
/// Errors  std::invalid_argument unless 0 < least_area <= 1 and 0 < least_ratio <= 1.
/// Source  Szegedy et al., arXiv:1409.4842, section 6; numbers of torchvision's RandomResizedCrop.
struct ResizedCrop {
  double least_area = 0.08;        ///< the part's share of the image, up to 1
  double least_ratio = 3.0 / 4.0;  ///< width to height, up to 1 / least_ratio

  Tensor<std::uint8_t> operator()(Tensor<std::uint8_t> image, Rng& rng) const {
    if (!(least_area > 0.0 && least_area <= 1.0 && least_ratio > 0.0 && least_ratio <= 1.0))
      throw ArgumentError({"ResizedCrop: least_area ", least_area, ", least_ratio ", least_ratio,
                           ", wanted above 0, at most 1"});
    const Index rows = image.dim(1), columns = image.dim(2);
    const auto height = static_cast<double>(rows), width = static_cast<double>(columns);
    const auto whole = [](double x) { return static_cast<Index>(std::round(x)); };
    const double largest = std::log(1.0 / least_ratio);
    for (int attempt = 0; attempt < 10; ++attempt) {
      const double area = height * width * rng.uniform(least_area, 1.0);
      const double ratio = std::exp(rng.uniform(-largest, largest));
      const Index w = whole(std::sqrt(area * ratio)), h = whole(std::sqrt(area / ratio));
      if (w < 1 || h < 1 || w > columns || h > rows) continue;
      const Index top = rng.below(rows - h + 1);
      return cut_out(image, top, rng.below(columns - w + 1), h, w);
    }
    const Index w = std::min(columns, std::max<Index>(1, whole(height / least_ratio)));
    const Index h = std::min(rows, std::max<Index>(1, whole(width / least_ratio)));
    return cut_out(image, (rows - h) / 2, (columns - w) / 2, h, w);
  }
};

static_assert(Transform<Flip> && Transform<Crop> && Transform<ResizedCrop>);

}  // namespace splitvit::inline SPLITVIT_BUILD::data
