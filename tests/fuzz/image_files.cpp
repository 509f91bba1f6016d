// SPDX-License-Identifier: MIT
// Image files from a stranger.
//
// -malloc_limit_mb=64

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include <splitvit/core/error.hpp>
#include <splitvit/images/image_file.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace splitvit;
  constexpr images::ImageLimits limits = {.pixels = 1 << 18};
  try {
    const auto image = images::decode_image(std::as_bytes(std::span{data, size}), "image", limits);
    if (image.dim(0) != 3 || image.dim(1) < 1 || image.dim(2) < 1 ||
        image.size() > 3 * limits.pixels)
      std::abort();
  } catch (const StorageError&) {
    // what a bad file must give
  }
  return 0;
}
