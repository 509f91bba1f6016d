// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include <splitvit/data/resize.hpp>

#include "support/catch.hpp"

using namespace splitvit;
using Image = std::vector<std::uint8_t>;

namespace {

Image pattern(Index height, Index width) {
  Image out;
  for (Index y = 0; y < height; ++y)
    for (Index x = 0; x < width; ++x)
      out.push_back(static_cast<std::uint8_t>((37 * x + 91 * y + 7 * x * y) % 256));
  return out;
}

Image resized(const Image& image, Index height, Index width, Index to_height, Index to_width,
              Index channels = 1) {
  Image out(static_cast<std::size_t>(channels * to_height * to_width));
  data::Resizer{height, width, to_height, to_width}(channels, image, out);
  return out;
}

/// FNV-1a, to compare many bytes with few.
std::uint64_t digest(const Image& image) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::uint8_t value : image) hash = (hash ^ value) * 0x100000001b3;
  return hash;
}

}  // namespace

// Made with Pillow 13.0.0: Image.fromarray(pattern).resize((width, height), Image.BICUBIC)
TEST_CASE("Resizer: bit for bit what Pillow gives", "[data]") {
  CHECK(resized(pattern(4, 4), 4, 4, 6, 6) == Image{0,   9,   36,  61,  89,  106, 36,  53,  86,
                                                    124, 157, 175, 106, 130, 157, 162, 190, 214,
                                                    179, 216, 211, 62,  57,  94,  96,  131, 148,
                                                    81,  99,  133, 2,   29,  77,  128, 175, 202});
  CHECK(resized(pattern(5, 7), 5, 7, 3, 4) ==
        Image{56, 127, 113, 151, 150, 117, 130, 146, 99, 159, 143, 161});
  CHECK(digest(resized(pattern(32, 32), 32, 32, 224, 224)) == 0xd25ae8d1d5e132b3);
  CHECK(digest(resized(pattern(64, 48), 64, 48, 17, 13)) == 0x1c5dde4a733b96bc);
  CHECK(digest(resized(pattern(8, 8), 8, 8, 8, 3)) == 0x7ab1ebc9d0528411);
  CHECK(digest(resized(pattern(9, 5), 9, 5, 20, 5)) == 0xf0e7ca2bee5c39ee);
  // Columns first: the height loses more than twice as many pixels as the width.
  CHECK(digest(resized(pattern(64, 20), 64, 20, 16, 16)) == 0x5ecee32df6f8a20f);
  CHECK(digest(resized(pattern(40, 9), 40, 9, 11, 30)) == 0xe7d34e0dfcf160f3);
  CHECK(digest(resized(pattern(53, 37), 53, 37, 20, 20)) == 0x9e851ebbea51e5fc);
  CHECK(digest(resized(pattern(60, 40), 60, 40, 20, 20)) == 0x354dc39f5a284ec8);
}

TEST_CASE("Resizer: the same size changes nothing, one colour stays", "[data]") {
  const Image image = pattern(6, 5);
  CHECK(resized(image, 6, 5, 6, 5) == image);
  for (const int value : {0, 1, 127, 255})
    for (const Index to : {1, 3, 5, 13, 100}) {
      const Image flat(25, static_cast<std::uint8_t>(value));
      for (const std::uint8_t v : resized(flat, 5, 5, to, to)) REQUIRE(v == value);
    }
  CHECK(resized(Image{200}, 1, 1, 3, 4) == Image(12, 200));
}

TEST_CASE("Resizer: channels do not mix", "[data]") {
  const Image first = pattern(4, 4);
  Image second = first;
  std::ranges::reverse(second);
  Image both = first;
  both.insert(both.end(), second.begin(), second.end());
  Image wanted = resized(first, 4, 4, 7, 3);
  const Image more = resized(second, 4, 4, 7, 3);
  wanted.insert(wanted.end(), more.begin(), more.end());
  CHECK(resized(both, 4, 4, 7, 3, 2) == wanted);
}

TEST_CASE("Resizer: refuses sizes that cannot be", "[data]") {
  CHECK_THROWS_AS((data::Resizer{0, 1, 1, 1}), std::invalid_argument);
  CHECK_THROWS_AS((data::Resizer{1, 1, -1, 1}), std::invalid_argument);
  CHECK_THROWS_AS((data::Resizer{1, 1, 1, 65537}), std::invalid_argument);
  Image out(4);
  CHECK_THROWS_AS((data::Resizer{2, 2, 2, 2}(1, Image(3), out)), ShapeError);
  CHECK_THROWS_AS((data::Resizer{2, 2, 2, 3}(1, Image(4), out)), ShapeError);
}
