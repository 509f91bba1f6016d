// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>  // round, trunc

#include <splitvit/core/random.hpp>            // Rng
#include <splitvit/core/shape.hpp>             // Index
#include <splitvit/data/augment.hpp>           // Flip
#include <splitvit/data/image_operations.hpp>  // AffineMap, change_brightness, ...
#include <splitvit/data/transform.hpp>         // AnyTransform, Transform
#include <splitvit/tensor/tensor.hpp>          // Tensor

namespace splitvit::inline SPLITVIT_BUILD::data {

/// Some of fourteen changes, one after the other, each drawn anew and of the same strength.
///
/// Errors  std::invalid_argument if `changes` is negative or `magnitude` outside [0, 30].
/// Source  Cubuk et al., arXiv:1909.13719; changes and strengths of torchvision's RandAugment with
///         31 bins, nearest pixels and black behind the edge.
struct RandAugment {
  int changes = 2;
  int magnitude = 9;

  Tensor<std::uint8_t> operator()(Tensor<std::uint8_t> image, Rng& rng) const {
    if (changes < 0 || magnitude < 0 || magnitude > 30)
      throw ArgumentError({"RandAugment: ", changes, " changes of magnitude ", magnitude,
                           ", wanted 0 or more of 0 to 30"});
    for (int k = 0; k < changes; ++k) {
      const Index change = rng.below(14);
      const double sign = rng.below(2) == 1 ? -1.0 : 1.0;
      image = changed(std::move(image), change, sign);
    }
    return image;
  }

 private:
  Tensor<std::uint8_t> changed(Tensor<std::uint8_t> image, Index change, double sign) const {
    const double strength = magnitude / 30.0, signed_strength = sign * strength;
    const double factor = 1.0 + 0.9 * signed_strength;
    const auto pixels = [&](Index extent) {
      return std::trunc(150.0 / 331.0 * static_cast<double>(extent) * signed_strength);
    };
    switch (change) {
      case 0:
        return AffineMap{.b = 0.3 * signed_strength}(image);
      case 1:
        return AffineMap{.d = 0.3 * signed_strength}(image);
      case 2:
        return AffineMap{.c = -pixels(image.dim(2))}(image);
      case 3:
        return AffineMap{.f = -pixels(image.dim(1))}(image);
      case 4:
        return AffineMap::rotation(image, 30.0 * signed_strength)(image);
      case 5:
        return change_brightness(std::move(image), factor);
      case 6:
        return change_saturation(std::move(image), factor);
      case 7:
        return change_contrast(std::move(image), factor);
      case 8:
        return change_sharpness(image, factor);
      case 9:
        return posterise(std::move(image), 8 - static_cast<int>(std::round(4.0 * strength)));
      case 10:
        return solarise(std::move(image), 255.0 * (1.0 - strength));
      case 11:
        return stretch_contrast(std::move(image));
      case 12:
        return equalise(std::move(image));
      default:
        return image;
    }
  }
};

/// Brightness, contrast and saturation, each times a factor in [1 - x, 1 + x], in random order.
/// Errors  std::invalid_argument for an x outside [0, 1].
struct ColourJitter {
  double brightness = 0.4;
  double contrast = 0.4;
  double saturation = 0.4;

  Tensor<std::uint8_t> operator()(Tensor<std::uint8_t> image, Rng& rng) const {
    for (const double x : {brightness, contrast, saturation})
      if (!(x >= 0.0 && x <= 1.0))
        throw ArgumentError({"ColourJitter: wanted numbers from 0 to 1, not ", x});
    std::array<int, 3> order{0, 1, 2};
    rng.shuffle<int>(order);
    for (const int change : order) {
      const double x = change == 0 ? brightness : change == 1 ? contrast : saturation;
      const double factor = rng.uniform(1.0 - x, 1.0 + x);
      if (change == 0) image = change_brightness(std::move(image), factor);
      if (change == 1) image = change_contrast(std::move(image), factor);
      if (change == 2) image = change_saturation(std::move(image), factor);
    }
    return image;
  }
};

static_assert(Transform<RandAugment> && Transform<ColourJitter>);

/// What the paper trains with, at the image's own size; the loader then resizes.
/// Source  arXiv:2509.15058, authors' code: RandAugment(2, 9), colour jitter of 0.4, flip.
inline std::vector<AnyTransform> paper_augmentation() {
  return {RandAugment{}, ColourJitter{}, Flip{}};
}

}  // namespace splitvit::inline SPLITVIT_BUILD::data
