// SPDX-License-Identifier: MIT
#include <cstdint>
#include <stdexcept>
#include <utility>

#include <splitvit/data/augment.hpp>
#include <splitvit/data/loader.hpp>
#include <splitvit/data/transform.hpp>

#include "support/catch.hpp"
#include "support/image_sets.hpp"

using namespace splitvit;

namespace {

/// A transform as a stranger writes it: adds a random grey level.
struct Lighter {
  Tensor<std::uint8_t> operator()(Tensor<std::uint8_t> image, Rng& rng) const {
    const auto by = static_cast<std::uint8_t>(100 + rng.below(50));
    for (std::uint8_t& value : image.span()) value = static_cast<std::uint8_t>(value + by);
    return image;
  }
};
struct Drops {
  Tensor<std::uint8_t> operator()(Tensor<std::uint8_t> image, Rng&) const {
    return data::cut_out(image, 0, 0, 1, 1);
  }
};
struct LosesChannels {
  Tensor<std::uint8_t> operator()(Tensor<std::uint8_t>, Rng&) const {
    return Tensor<std::uint8_t>{{1, 2, 2}};
  }
};
struct NoGenerator {
  Tensor<std::uint8_t> operator()(Tensor<std::uint8_t> image) const { return image; }
};
struct ReturnsNothing {
  void operator()(Tensor<std::uint8_t>, Rng&) const {}
};
static_assert(data::Transform<Lighter> && data::Transform<Drops>);
static_assert(data::Transform<data::AnyTransform>);
static_assert(!data::Transform<NoGenerator> && !data::Transform<ReturnsNothing>);

constexpr data::ChannelStatistics as_they_are = {.mean = {0, 0, 0}, .deviation = {1, 1, 1}};

}  // namespace

TEST_CASE("Transform: a stranger's goes through the loader, drawn by epoch and sample", "[data]") {
  const auto set = support::counting_set(6, 3, 1, 1);
  const data::Loader<float> loader{
      set, {.batch = 6, .shuffle = false, .augment = {Lighter{}}, .normalise = as_they_are}};
  const auto first = loader.epoch(1).next()->images;
  const auto other_order =
      data::Loader<float>{set, {.batch = 6, .augment = {Lighter{}}, .normalise = as_they_are}}
          .epoch(1)
          .next();
  int different = 0;
  for (Index i = 0; i < 6; ++i) {
    const float by = first[3 * i] * 255.0f - static_cast<float>(3 * i);
    CHECK(by >= 99.9f);
    CHECK(by <= 149.1f);
    different += by != Approx(first[0] * 255.0f) ? 1 : 0;
    // The same draw wherever the sample stands in the epoch.
    const Index sample = other_order->indices[static_cast<std::size_t>(i)];
    CHECK(other_order->images[3 * i] == first[3 * sample]);
  }
  CHECK(different > 2);
  CHECK(loader.epoch(2).next()->images[0] != first[0]);
}

TEST_CASE("Transform: another size is resized, other channels are refused", "[data]") {
  const auto set = support::counting_set(2, 3, 4, 4);
  const auto batch =
      data::Loader<float>{
          set, {.batch = 2, .shuffle = false, .augment = {Drops{}}, .normalise = as_they_are}}
          .epoch(0)
          .next();
  REQUIRE(batch->images.shape() == Shape{2, 3, 4, 4});
  for (Index p = 0; p < 16; ++p) CHECK(batch->images[p] == batch->images[0]);
  const data::Loader<float> loses{set, {.augment = {LosesChannels{}}}};
  auto epoch = loses.epoch(0);
  CHECK_THROWS_WITH(epoch.next(), ContainsSubstring("a transform made (1, 2, 2)"));
}
