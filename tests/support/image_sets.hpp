// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>  // uint8_t

#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/data/concepts.hpp>  // ImageSet
#include <splitvit/tensor/tensor.hpp>  // Tensor

// Small image sets whose every value is known.

namespace support {

/// Values 0, 1, 2, ... through all images, modulo 256; sample i has label i.
inline splitvit::data::ImageSet counting_set(splitvit::Index samples, splitvit::Index channels,
                                             splitvit::Index height, splitvit::Index width) {
  splitvit::data::ImageSet set;
  set.name = "counting";
  set.images = splitvit::Tensor<std::uint8_t>{{samples, channels, height, width}};
  for (splitvit::Index i = 0; i < set.images.size(); ++i)
    set.images[i] = static_cast<std::uint8_t>(i & 255);
  for (splitvit::Index i = 0; i < samples; ++i) set.labels.push_back(i);
  set.class_count = samples;
  return set;
}

}  // namespace support
