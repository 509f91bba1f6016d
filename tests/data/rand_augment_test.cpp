// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <vector>

#include <splitvit/data/rand_augment.hpp>

#include "support/catch.hpp"

using namespace splitvit;

namespace {

Tensor<std::uint8_t> ramp_of_colours() {
  Tensor<std::uint8_t> out{{3, 24, 20}};
  for (Index i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(i * 83 / 7);
  return out;
}

template <class F>
std::vector<std::uint8_t> made_with(const F& transform, std::uint64_t draw) {
  Rng rng = Rng{.seed = 3}.at(draw);
  const Tensor<std::uint8_t> out = transform(ramp_of_colours(), rng);
  CHECK(out.shape() == ramp_of_colours().shape());
  return {out.span().begin(), out.span().end()};
}

}  // namespace

TEST_CASE("RandAugment: a pure function of image and generator, every change comes", "[data]") {
  std::set<std::vector<std::uint8_t>> seen;
  for (std::uint64_t draw = 0; draw < 400; ++draw) {
    const auto first = made_with(data::RandAugment{.changes = 1}, draw);
    REQUIRE(first == made_with(data::RandAugment{.changes = 1}, draw));
    seen.insert(first);
  }
  // Nine changes with a sign, four without, and none; equalising does nothing to 480 pixels
  // whose values are as frequent as here.
  CHECK(seen.size() >= 22);
  CHECK(seen.size() <= 23);
  seen.clear();
  for (std::uint64_t draw = 0; draw < 200; ++draw)
    seen.insert(made_with(data::RandAugment{}, draw));
  CHECK(seen.size() > 100);
}

TEST_CASE("RandAugment: nothing for no changes, refuses what cannot be", "[data]") {
  Rng rng;
  const auto image = ramp_of_colours();
  const auto same = data::RandAugment{.changes = 0}(image, rng);
  CHECK(std::ranges::equal(same.span(), image.span()));
  CHECK(rng.position == 0);
  CHECK_THROWS_AS((data::RandAugment{.changes = -1}(image, rng)), std::invalid_argument);
  CHECK_THROWS_AS((data::RandAugment{.magnitude = 31}(image, rng)), std::invalid_argument);
  CHECK_THROWS_AS((data::RandAugment{.magnitude = -1}(image, rng)), std::invalid_argument);
}

TEST_CASE("ColourJitter: within its bounds, in random order", "[data]") {
  CHECK(made_with(data::ColourJitter{.brightness = 0, .contrast = 0, .saturation = 0}, 1) ==
        made_with(data::RandAugment{.changes = 0}, 1));
  const data::ColourJitter only_brightness{.contrast = 0, .saturation = 0};
  const auto image = ramp_of_colours();
  double least = 10, largest = 0;
  for (std::uint64_t draw = 0; draw < 300; ++draw) {
    const auto out = made_with(only_brightness, draw);
    // A value of 100 shows the factor.
    const auto place = std::ranges::find(image.span(), 100) - image.span().begin();
    const double factor = out[static_cast<std::size_t>(place)] / 100.0;
    least = std::min(least, factor);
    largest = std::max(largest, factor);
  }
  CHECK(least >= 0.59);
  CHECK(least < 0.63);
  CHECK(largest <= 1.4);
  CHECK(largest > 1.37);
  std::set<std::vector<std::uint8_t>> seen;
  for (std::uint64_t draw = 0; draw < 50; ++draw)
    seen.insert(made_with(data::ColourJitter{}, draw));
  CHECK(seen.size() == 50);
  Rng rng;
  CHECK_THROWS_AS((data::ColourJitter{.contrast = 1.1}(image, rng)), std::invalid_argument);
}

TEST_CASE("paper_augmentation: three transforms", "[data]") {
  const auto transforms = data::paper_augmentation();
  REQUIRE(transforms.size() == 3);
  std::set<std::vector<std::uint8_t>> seen;
  for (std::uint64_t draw = 0; draw < 20; ++draw)
    seen.insert(made_with(
        [&](Tensor<std::uint8_t> image, Rng& rng) {
          for (const auto& transform : transforms) image = transform(std::move(image), rng);
          return image;
        },
        draw));
  CHECK(seen.size() == 20);
}
