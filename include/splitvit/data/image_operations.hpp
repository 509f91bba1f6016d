// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, count_if, max, min
#include <cmath>      // cos, floor, sin
#include <numbers>    // pi

#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/tensor/tensor.hpp>  // Tensor

// Changes of colours and shape that augmentations are made of, bit for bit as Pillow makes them.
// All take and return images (channels, height, width) with 1 or 3 channels, red first.

namespace splitvit::inline SPLITVIT_BUILD::data {

namespace detail {
/// from + factor * (to - from), cut off at 0 and 255.
inline std::uint8_t blended(std::uint8_t from, std::uint8_t to, float factor) {
  const float value = static_cast<float>(from) +
                      factor * static_cast<float>(static_cast<int>(to) - static_cast<int>(from));
  return static_cast<std::uint8_t>(std::clamp(value, 0.0f, 255.0f));
}

/// The brightness of pixel p, by ITU-R BT.601.
inline std::uint8_t grey_value(const Tensor<std::uint8_t>& image, Index p) {
  if (image.dim(0) == 1) return image[p];
  const Index plane = image.dim(1) * image.dim(2);
  return static_cast<std::uint8_t>(
      (image[p] * 19595u + image[plane + p] * 38470u + image[2 * plane + p] * 7471u + 0x8000u) >>
      16);
}

/// Replaces each value v of a channel by table(channel's histogram)[v].
template <class Table>
Tensor<std::uint8_t> mapped(Tensor<std::uint8_t> image, const Table& table) {
  const Index plane = image.dim(1) * image.dim(2);
  for (Index c = 0; c < image.dim(0); ++c) {
    std::uint8_t* const values = image.data() + c * plane;
    std::array<Index, 256> histogram{};
    for (Index p = 0; p < plane; ++p) ++histogram[values[p]];
    const std::array<std::uint8_t, 256> to = table(histogram);
    for (Index p = 0; p < plane; ++p) values[p] = to[values[p]];
  }
  return image;
}
}  // namespace detail

/// 0: black, 1: no change, above 1: brighter.
inline Tensor<std::uint8_t> change_brightness(Tensor<std::uint8_t> image, double factor) {
  for (std::uint8_t& value : image.span())
    value = detail::blended(0, value, static_cast<float>(factor));
  return image;
}

/// 0: grey, 1: no change, above 1: more colourful.
inline Tensor<std::uint8_t> change_saturation(Tensor<std::uint8_t> image, double factor) {
  const Index plane = image.dim(1) * image.dim(2);
  for (Index p = 0; p < plane; ++p) {
    const std::uint8_t grey = detail::grey_value(image, p);
    for (Index c = 0; c < image.dim(0); ++c)
      image[c * plane + p] =
          detail::blended(grey, image[c * plane + p], static_cast<float>(factor));
  }
  return image;
}

/// 0: the mean brightness everywhere, 1: no change, above 1: more contrast.
inline Tensor<std::uint8_t> change_contrast(Tensor<std::uint8_t> image, double factor) {
  const Index plane = image.dim(1) * image.dim(2);
  Index sum = 0;
  for (Index p = 0; p < plane; ++p) sum += detail::grey_value(image, p);
  const auto mean = static_cast<std::uint8_t>((2 * sum + plane) / (2 * plane));
  for (std::uint8_t& value : image.span())
    value = detail::blended(mean, value, static_cast<float>(factor));
  return image;
}

/// 0: smoothed, 1: no change, above 1: sharper. The outermost pixels stay.
inline Tensor<std::uint8_t> change_sharpness(const Tensor<std::uint8_t>& image, double factor) {
  Tensor<std::uint8_t> out = image;
  const Index height = image.dim(1), width = image.dim(2);
  for (Index c = 0; c < image.dim(0); ++c)
    for (Index y = 1; y + 1 < height; ++y)
      for (Index x = 1; x + 1 < width; ++x) {
        const Index at = (c * height + y) * width + x;
        int sum = 4 * image[at];  // the middle counts five times, its neighbours once
        for (const Index row : {at - width, at, at + width})
          sum += image[row - 1] + image[row] + image[row + 1];
        const auto smooth = static_cast<std::uint8_t>((2 * sum + 13) / 26);
        out[at] = detail::blended(smooth, image[at], static_cast<float>(factor));
      }
  return out;
}

/// Keeps the highest `bits` of each value, 0 to 8.
inline Tensor<std::uint8_t> posterise(Tensor<std::uint8_t> image, int bits) {
  const int mask = 0xFF00 >> bits & 0xFF;
  for (std::uint8_t& value : image.span()) value = static_cast<std::uint8_t>(value & mask);
  return image;
}

/// Inverts the values from `threshold` on.
inline Tensor<std::uint8_t> solarise(Tensor<std::uint8_t> image, double threshold) {
  for (std::uint8_t& value : image.span())
    if (value >= threshold) value = static_cast<std::uint8_t>(255 - value);
  return image;
}

/// Stretches each channel so that its darkest value becomes 0 and its brightest 255.
inline Tensor<std::uint8_t> stretch_contrast(Tensor<std::uint8_t> image) {
  return detail::mapped(std::move(image), [](const std::array<Index, 256>& histogram) {
    int low = 0, high = 255;
    while (low < 255 && histogram[static_cast<std::size_t>(low)] == 0) ++low;
    while (high > 0 && histogram[static_cast<std::size_t>(high)] == 0) --high;
    std::array<std::uint8_t, 256> to{};
    const double scale = high > low ? 255.0 / (high - low) : 1.0;
    const double offset = high > low ? -low * scale : 0.0;
    for (std::size_t v = 0; v < 256; ++v)
      to[v] = static_cast<std::uint8_t>(
          std::clamp(static_cast<double>(v) * scale + offset, 0.0, 255.0));
    return to;
  });
}

/// Makes all values of each channel about equally frequent.
inline Tensor<std::uint8_t> equalise(Tensor<std::uint8_t> image) {
  return detail::mapped(std::move(image), [](const std::array<Index, 256>& histogram) {
    Index pixels = 0, last = 0;
    for (const Index count : histogram) {
      pixels += count;
      if (count > 0) last = count;
    }
    const Index step = (pixels - last) / 255;
    std::array<std::uint8_t, 256> to{};
    Index before = step / 2;
    for (std::size_t v = 0; v < 256; ++v) {
      to[v] = static_cast<std::uint8_t>(step == 0 ? static_cast<Index>(v)
                                                  : std::min<Index>(before / step, 255));
      before += histogram[v];
    }
    return to;
  });
}

/// The image seen through an affine map: pixel (x, y) is taken from (a x + b y + c, d x + e y + f).
/// (0, 0) is the corner of the image, so the first pixel's centre is (0.5, 0.5). Pixels taken from
/// outside of the image are black.
struct AffineMap {
  double a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;

  Tensor<std::uint8_t> operator()(const Tensor<std::uint8_t>& image) const {
    const Index height = image.dim(1), width = image.dim(2);
    const auto fixed = [](double x) { return static_cast<Index>(std::floor(x * 65536.0 + 0.5)); };
    const Index fa = fixed(a), fb = fixed(b), fd = fixed(d), fe = fixed(e);
    const Index fc = fixed(c + 0.5 * a + 0.5 * b), ff = fixed(f + 0.5 * d + 0.5 * e);
    Tensor<std::uint8_t> out{image.shape()};
    for (Index y = 0; y < height; ++y)
      for (Index x = 0; x < width; ++x) {
        const Index from_x = (fa * x + fb * y + fc) >> 16, from_y = (fd * x + fe * y + ff) >> 16;
        if (from_x < 0 || from_x >= width || from_y < 0 || from_y >= height) continue;
        for (Index k = 0; k < image.dim(0); ++k)
          out[(k * height + y) * width + x] = image[(k * height + from_y) * width + from_x];
      }
    return out;
  }

  /// Turns an image about its middle, counter-clockwise.
  static AffineMap rotation(const Tensor<std::uint8_t>& image, double degrees) {
    const double angle = degrees * std::numbers::pi / 180.0;
    const double cosine = std::cos(angle), sine = std::sin(angle);
    const double x = static_cast<double>(image.dim(2)) / 2.0;
    const double y = static_cast<double>(image.dim(1)) / 2.0;
    return {.a = cosine,
            .b = -sine,
            .c = x - cosine * x + sine * y,
            .d = sine,
            .e = cosine,
            .f = y - sine * x - cosine * y};
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::data
