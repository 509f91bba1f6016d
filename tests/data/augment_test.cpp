// SPDX-License-Identifier: MIT
#include <cstdint>
#include <set>
#include <stdexcept>
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

TEST_CASE("Augment: a pure function of image and generator", "[data]") {
  const data::Augment augment{.flip = true, .padding = 2};
  const Shape shape{3, 5, 5};
  std::set<Image> seen;
  for (std::uint64_t i = 0; i < 500; ++i) {
    Image first(75);
    for (std::size_t k = 0; k < first.size(); ++k) first[k] = static_cast<std::uint8_t>(k + 1);
    Image second = first;
    Rng a = Rng{.seed = 1}.at(i);
    Rng b = a;
    augment(View{first, shape}, a);
    augment(View{second, shape}, b);
    REQUIRE(first == second);
    seen.insert(first);
  }
  CHECK(seen.size() == 50);  // every one of 2 * 5 * 5
}

TEST_CASE("Augment: nothing by default, and no number drawn", "[data]") {
  Image image{1, 2, 3, 4};
  Rng rng;
  data::Augment{}(View{image, {1, 2, 2}}, rng);
  CHECK(image == Image{1, 2, 3, 4});
  CHECK(rng.position == 0);
  CHECK_THROWS_AS((data::Augment{.padding = -1}(View{image, {1, 2, 2}}, rng)),
                  std::invalid_argument);
}
