// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdint>

#include <splitvit/data/image_operations.hpp>

#include "support/catch.hpp"

using namespace splitvit;

namespace {

/// Colours of many values; if narrow, of the middle quarter of them.
Tensor<std::uint8_t> many_colours(Index height, Index width, bool narrow) {
  Tensor<std::uint8_t> out{{3, height, width}};
  std::uint8_t* to = out.data();
  for (Index c = 0; c < 3; ++c)
    for (Index y = 0; y < height; ++y)
      for (Index x = 0; x < width; ++x) {
        const Index value = (37 * x + 91 * y + 7 * x * y + 50 * c) % 256;
        *to++ = static_cast<std::uint8_t>(narrow ? value / 4 + 90 : value);
      }
  return out;
}

/// FNV-1a, to compare many bytes with few.
std::uint64_t digest_of(const Tensor<std::uint8_t>& image) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::uint8_t value : image.span()) hash = (hash ^ value) * 0x100000001b3;
  return hash;
}

}  // namespace

// Made with Pillow 13.0.0: ImageEnhance, ImageOps, Image.rotate and Image.transform (NEAREST).
TEST_CASE("image operations: bit for bit what Pillow gives", "[data]") {
  const auto image = many_colours(13, 17, false);
  CHECK(digest_of(data::change_brightness(image, 0.73)) == 0x4b9fa7086e2b843c);
  CHECK(digest_of(data::change_brightness(image, 1.27)) == 0x7ffb016a8ad8ee2b);
  CHECK(digest_of(data::change_saturation(image, 0.73)) == 0xee0fc0068c8d2df1);
  CHECK(digest_of(data::change_saturation(image, 1.27)) == 0x2f9d7ec9b833977c);
  CHECK(digest_of(data::change_contrast(image, 0.73)) == 0x159be4eb1bf69c86);
  CHECK(digest_of(data::change_contrast(image, 1.27)) == 0xdea8af277efb56fe);
  CHECK(digest_of(data::change_sharpness(image, 0.73)) == 0xf6ef759a110d3735);
  CHECK(digest_of(data::change_sharpness(image, 1.27)) == 0xf39b09a7cd21e05d);
  CHECK(digest_of(data::posterise(image, 7)) == 0xc0f9beed557c2db1);
  CHECK(digest_of(data::posterise(image, 2)) == 0x5d6a53130ff3e567);
  CHECK(digest_of(data::solarise(image, 178.5)) == 0x1020983186830e31);
  CHECK(digest_of(data::AffineMap::rotation(image, 9)(image)) == 0xbe6cbdd179e33f07);
  CHECK(digest_of(data::AffineMap::rotation(image, -9)(image)) == 0xd87b6eed5d5af52f);
  CHECK(digest_of(data::AffineMap{.b = 0.09}(image)) == 0xf44fd3009419587e);
  CHECK(digest_of(data::AffineMap{.d = -0.09}(image)) == 0x82544a3f7eafaac8);
  CHECK(digest_of(data::AffineMap{.c = -2}(image)) == 0x55514978892f38c8);
  CHECK(digest_of(data::AffineMap{.f = 1}(image)) == 0x894ada1fa44b65f);
  const auto narrow = many_colours(40, 30, true);
  CHECK(digest_of(data::equalise(narrow)) == 0x486cfa4d30d9d0db);
  CHECK(digest_of(data::stretch_contrast(narrow)) == 0xe8ebbeff9102b093);
}

TEST_CASE("image operations: the factor 1, all bits, no move change nothing", "[data]") {
  const auto image = many_colours(6, 5, false);
  for (const auto& same : {data::change_brightness(image, 1), data::change_saturation(image, 1),
                           data::change_contrast(image, 1), data::change_sharpness(image, 1),
                           data::posterise(image, 8), data::solarise(image, 256),
                           data::AffineMap{}(image), data::AffineMap::rotation(image, 0)(image)})
    CHECK(std::ranges::equal(same.span(), image.span()));
}

TEST_CASE("image operations: one colour, and images of one pixel", "[data]") {
  for (const Index channels : {1, 3})
    for (const int value : {0, 77, 255}) {
      const auto flat =
          Tensor<std::uint8_t>::full({channels, 1, 1}, static_cast<std::uint8_t>(value));
      for (const auto& same :
           {data::change_saturation(flat, 0.3), data::change_contrast(flat, 1.9),
            data::change_sharpness(flat, 1.9), data::stretch_contrast(flat), data::equalise(flat)})
        CHECK(std::ranges::equal(same.span(), flat.span()));
    }
}
