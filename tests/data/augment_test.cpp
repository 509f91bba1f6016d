// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include <splitvit/data/augment.hpp>

#include "support/catch.hpp"

using namespace splitvit;
using Image = std::vector<std::uint8_t>;
using View = TensorView<std::uint8_t>;

namespace {

Image shifted(Image image, const Shape& shape, Index down, Index right) {
  data::shift(View{image, shape}, down, right);
  return image;
}

}  // namespace

TEST_CASE("flip_horizontally: each row of each channel, twice is nothing", "[data]") {
  Image image{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const View view{image, {2, 2, 3}};
  data::flip_horizontally(view);
  CHECK(image == Image{3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10});
  data::flip_horizontally(view);
  CHECK(image == Image{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
}

TEST_CASE("shift: moves and fills with black", "[data]") {
  const Image image{1, 2, 3, 4, 5, 6};
  const Shape shape{1, 2, 3};
  CHECK(shifted(image, shape, 0, 0) == image);
  CHECK(shifted(image, shape, 1, 0) == Image{0, 0, 0, 1, 2, 3});
  CHECK(shifted(image, shape, -1, 0) == Image{4, 5, 6, 0, 0, 0});
  CHECK(shifted(image, shape, 0, 1) == Image{0, 1, 2, 0, 4, 5});
  CHECK(shifted(image, shape, -1, -2) == Image{6, 0, 0, 0, 0, 0});
  for (const Index far : {-9, -3, 3, 9}) {
    CHECK(shifted(image, shape, 0, far) == Image(6));
    CHECK(shifted(image, shape, far, 0) == Image(6));
  }
  CHECK(shifted(image, {2, 1, 3}, 0, 1) == Image{0, 1, 2, 0, 4, 5});  // channels apart
  Image flat(6);
  CHECK_THROWS_AS(data::shift(View{flat, {2, 3}}, 0, 0), ShapeError);
}

TEST_CASE("Flip and Crop: pure functions of image and generator", "[data]") {
  std::set<Image> seen;
  for (std::uint64_t i = 0; i < 500; ++i) {
    Tensor<std::uint8_t> image{{3, 5, 5}};
    for (Index k = 0; k < 75; ++k) image[k] = static_cast<std::uint8_t>(k + 1);
    const auto changed = [&](Rng rng) {
      const auto out = data::Crop{.padding = 2}(data::Flip{}(image, rng), rng);
      CHECK(out.shape() == image.shape());
      return Image(out.span().begin(), out.span().end());
    };
    const Rng rng = Rng{.seed = 1}.at(i);
    REQUIRE(changed(rng) == changed(rng));
    seen.insert(changed(rng));
  }
  CHECK(seen.size() == 50);  // every one of 2 * 5 * 5
  Rng rng;
  CHECK_THROWS_AS((data::Crop{.padding = -1}(Tensor<std::uint8_t>{{1, 2, 2}}, rng)),
                  std::invalid_argument);
}

TEST_CASE("cut_out: a part of each channel", "[data]") {
  const Image values{1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16};
  const Tensor<std::uint8_t> image{{2, 2, 3}, values};
  const auto part = data::cut_out(image, 0, 1, 2, 2);
  CHECK(part.shape() == Shape{2, 2, 2});
  CHECK(std::ranges::equal(part.span(), Image{2, 3, 5, 6, 12, 13, 15, 16}));
  CHECK_THROWS_AS(data::cut_out(image, 0, 2, 1, 2), ShapeError);
  CHECK_THROWS_AS(data::cut_out(image, 1, 0, 2, 1), ShapeError);
  CHECK_THROWS_AS(data::cut_out(image, -1, 0, 1, 1), ShapeError);
  CHECK_THROWS_AS(data::cut_out(image, 0, 0, 0, 1), ShapeError);
}

TEST_CASE("ResizedCrop: areas and ratios as asked for", "[data]") {
  const Tensor<std::uint8_t> image{{1, 100, 150}};
  double least = 1, largest = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    Rng rng = Rng{.seed = 2}.at(i);
    const auto part = data::ResizedCrop{}(image, rng);
    const auto height = static_cast<double>(part.dim(1)), width = static_cast<double>(part.dim(2));
    const double area = height * width / 15000.0;
    least = std::min(least, area);
    largest = std::max(largest, area);
    // Sides are rounded to whole pixels.
    REQUIRE((width + 0.5) / (height - 0.5) > 0.75);
    REQUIRE((width - 0.5) / (height + 0.5) < 4.0 / 3.0);
  }
  CHECK(least > 0.075);
  CHECK(least < 0.1);
  CHECK(largest > 0.85);
}

TEST_CASE("ResizedCrop: very long images, one pixel, misuse", "[data]") {
  for (const auto& [height, width] : {std::pair<Index, Index>{1, 1}, {10, 8000}, {8000, 10}}) {
    Rng rng{.seed = 4};
    const auto part = data::ResizedCrop{}(Tensor<std::uint8_t>{{3, height, width}}, rng);
    CHECK(part.dim(0) == 3);
    CHECK(part.dim(1) <= std::min<Index>(height, 14));  // a third longer, at most
    CHECK(part.dim(2) <= std::min<Index>(width, 14));
  }
  Rng rng;
  const Tensor<std::uint8_t> image{{1, 4, 4}};
  CHECK_THROWS_AS((data::ResizedCrop{.least_area = 0}(image, rng)), std::invalid_argument);
  CHECK_THROWS_AS((data::ResizedCrop{.least_ratio = 2}(image, rng)), std::invalid_argument);
}
