// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min
#include <cmath>      // log10

#include <splitvit/core/error.hpp>     // ShapeError
#include <splitvit/tensor/tensor.hpp>  // Tensor

// How like an image a reconstruction of it is.

namespace splitvit::inline SPLITVIT_BUILD::leakage {

namespace detail {
template <std::floating_point T>
void require_same_images(const char* operation, const Tensor<T>& a, const Tensor<T>& b,
                         Index least) {
  if (a.shape() != b.shape() || a.shape().rank() != 3 || a.dim(0) < 1 ||
      std::min(a.dim(1), a.dim(2)) < least)
    throw ShapeError({operation, ": images ", a.shape(), " and ", b.shape(),
                      ": wanted two of (channels, height, width), at least ", least,
                      " pixels wide"});
}
}  // namespace detail

/// The peak signal-to-noise ratio in decibels: 10 log10(range^2 / mean squared error); infinite for
/// equal images.
///
/// Shapes  both (channels, height, width). Units  range: the largest number less the smallest one
///         that a pixel can have. Errors  ShapeError.
template <std::floating_point T>
double psnr(const Tensor<T>& image, const Tensor<T>& other, double range) {
  detail::require_same_images("psnr", image, other, 1);
  double squares = 0;
  for (Index i = 0; i < image.size(); ++i) {
    const double gap = static_cast<double>(image[i]) - static_cast<double>(other[i]);
    squares += gap * gap;
  }
  return 10 * std::log10(range * range * static_cast<double>(image.size()) / squares);
}

/// Structural similarity (SSIM), the mean over channels and over all positions of a window of 7 x 7
/// pixels: 1 for equal images, near 0 for unrelated ones, negative where one is the other inverted.
/// Variances divide by 48 and not by 49, as in scikit-image.
///
/// Shapes  both (channels, height, width), at least 7 x 7 pixels. Units  range: as in psnr.
/// Errors  ShapeError. Source  Wang et al. 2004, doi:10.1109/TIP.2003.819861.
template <std::floating_point T>
double ssim(const Tensor<T>& image, const Tensor<T>& other, double range) {
  constexpr Index side = 7;
  constexpr double count = side * side, c1 = 0.01 * 0.01, c2 = 0.03 * 0.03;
  detail::require_same_images("ssim", image, other, side);
  const Index height = image.dim(1), width = image.dim(2);
  const auto in_window = [&](Index channel, Index row, Index column) {
    double x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    for (Index i = row; i < row + side; ++i)
      for (Index j = column; j < column + side; ++j) {
        const Index place = (channel * height + i) * width + j;
        const double a = static_cast<double>(image[place]) / range;
        const double b = static_cast<double>(other[place]) / range;
        x += a / count;
        y += b / count;
        xx += a * a / count;
        yy += b * b / count;
        xy += a * b / count;
      }
    constexpr double of_sample = count / (count - 1);
    const double vx = of_sample * (xx - x * x), vy = of_sample * (yy - y * y);
    const double both = of_sample * (xy - x * y);
    return (2 * x * y + c1) * (2 * both + c2) / ((x * x + y * y + c1) * (vx + vy + c2));
  };
  double sum = 0;
  for (Index channel = 0; channel < image.dim(0); ++channel)
    for (Index row = 0; row + side <= height; ++row)
      for (Index column = 0; column + side <= width; ++column)
        sum += in_window(channel, row, column);
  return sum / static_cast<double>(image.dim(0) * (height - side + 1) * (width - side + 1));
}

}  // namespace splitvit::inline SPLITVIT_BUILD::leakage
