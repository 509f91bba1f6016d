// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/bytes.hpp>     // number_at
#include <splitvit/core/shape.hpp>     // Index, ShapeError
#include <splitvit/tensor/tensor.hpp>  // Tensor

namespace splitvit::inline SPLITVIT_BUILD::images {

/// How a camera was held: the orientation, 1 to 8, in EXIF data, which begin with the byte order.
/// Data without a valid orientation count as 1, upright.
/// Source  EXIF 2.3 (JEITA CP-3451C), 4.6.4, tag 0x0112; TIFF 6.0, section 2.
inline int exif_orientation(std::span<const std::byte> bytes) {
  if (bytes.size() < 8 || bytes[0] != bytes[1]) return 1;
  const auto first = std::to_integer<char>(bytes[0]);
  if (first != 'I' && first != 'M') return 1;
  const auto number = [&](std::size_t at, std::size_t width) -> std::size_t {
    return number_at(bytes, at, width, first == 'M' ? std::endian::big : std::endian::little);
  };
  const std::size_t directory = number(4, 4);
  if (number(2, 2) != 42 || directory > bytes.size() - 2) return 1;
  const std::size_t entries = number(directory, 2);
  for (std::size_t k = 0, at = directory + 2; k < entries && at + 12 <= bytes.size();
       ++k, at += 12) {
    if (number(at, 2) != 0x0112) continue;
    const std::size_t value = number(at + 8, 2);
    const bool is_short = number(at + 2, 2) == 3 && number(at + 4, 4) == 1;
    return is_short && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

/// The image as it is to be looked at. Orientations 5 to 8 swap height and width.
///
/// Shapes  image (channels, height, width).
/// Errors  ShapeError for another rank; std::invalid_argument for an orientation outside 1 to 8.
inline Tensor<std::uint8_t> upright(Tensor<std::uint8_t> image, int orientation) {
  if (image.shape().rank() != 3)
    throw ShapeError({"upright: image ", image.shape().text(), ", wanted 3 extents"});
  if (orientation < 1 || orientation > 8)
    throw ArgumentError({"upright: orientation ", orientation, ", wanted 1 to 8"});
  if (orientation == 1) return image;
  const Index height = image.dim(1), width = image.dim(2);
  const bool swapped = orientation >= 5;
  const bool from_bottom =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool from_right = orientation == 2 || orientation == 3 || orientation >= 7;
  auto out = Tensor<std::uint8_t>::uninitialised(
      {image.dim(0), swapped ? width : height, swapped ? height : width});
  std::uint8_t* to = out.data();
  for (Index c = 0; c < out.dim(0); ++c)
    for (Index y = 0; y < out.dim(1); ++y)
      for (Index x = 0; x < out.dim(2); ++x) {
        const Index row = swapped ? x : y, column = swapped ? y : x;
        *to++ = image[(c * height + (from_bottom ? height - 1 - row : row)) * width +
                      (from_right ? width - 1 - column : column)];
      }
  return out;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::images
