// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/images/exif.hpp>

#include "support/catch.hpp"
#include "support/image_bytes.hpp"

using namespace splitvit;

namespace {

int orientation_in(const std::string& exif) {
  return images::exif_orientation(std::as_bytes(std::span{exif}));
}

std::vector<std::uint8_t> turned(int orientation) {
  const std::vector<std::uint8_t> values{1, 2, 3, 4, 5, 6};
  const auto out = images::upright(Tensor<std::uint8_t>{{1, 2, 3}, values}, orientation);
  CHECK(out.shape() == (orientation < 5 ? Shape{1, 2, 3} : Shape{1, 3, 2}));
  return {out.span().begin(), out.span().end()};
}

}  // namespace

TEST_CASE("exif_orientation: both byte orders, each value", "[images]") {
  for (const bool big : {false, true})
    for (int value = 0; value <= 9; ++value)
      CHECK(orientation_in(support::exif_with(value, big)) ==
            (value >= 1 && value <= 8 ? value : 1));
}

TEST_CASE("exif_orientation: cut anywhere or damaged, it is upright or as written", "[images]") {
  const std::string whole = support::exif_with(6, false);
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK(orientation_in(whole.substr(0, size)) == (size < 22 ? 1 : 6));
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (const char value : {'\0', '\x7f', '\xff'}) {
      std::string damaged = whole;
      damaged[at] = value;
      const int got = orientation_in(damaged);
      CHECK((got >= 1 && got <= 8));
    }
}

// As Pillow 13.0.0 turns [[1, 2, 3], [4, 5, 6]] with ImageOps.exif_transpose.
TEST_CASE("upright: each orientation", "[images]") {
  using Values = std::vector<std::uint8_t>;
  CHECK(turned(1) == Values{1, 2, 3, 4, 5, 6});
  CHECK(turned(2) == Values{3, 2, 1, 6, 5, 4});
  CHECK(turned(3) == Values{6, 5, 4, 3, 2, 1});
  CHECK(turned(4) == Values{4, 5, 6, 1, 2, 3});
  CHECK(turned(5) == Values{1, 4, 2, 5, 3, 6});
  CHECK(turned(6) == Values{4, 1, 5, 2, 6, 3});
  CHECK(turned(7) == Values{6, 3, 5, 2, 4, 1});
  CHECK(turned(8) == Values{3, 6, 2, 5, 1, 4});
  CHECK_THROWS_AS(turned(0), std::invalid_argument);
  CHECK_THROWS_AS(turned(9), std::invalid_argument);
  CHECK_THROWS_AS(images::upright(Tensor<std::uint8_t>{{2, 3}}, 2), ShapeError);
}
