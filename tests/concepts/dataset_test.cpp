// SPDX-License-Identifier: MIT
// Models and counter-models of Dataset.

#include <cstdint>

#include <splitvit/data/concepts.hpp>
#include <splitvit/data/loader.hpp>

#include "support/catch.hpp"

// A data set as a stranger writes it: images that are worked out, not stored.
namespace stranger {

using splitvit::Index;
using splitvit::Shape;
using splitvit::Tensor;

struct Ramps {
  Index size() const { return 10; }
  Index classes() const { return 2; }
  Shape image_shape() const { return {1, 4, 4}; }
  Index label(Index i) const { return i % 2; }
  Tensor<std::uint8_t> image(Index i) const {
    return Tensor<std::uint8_t>::full(image_shape(), static_cast<std::uint8_t>(20 * i));
  }
};

struct NoLabels : Ramps {
  void label(Index) const {}
};
struct NotConst : Ramps {
  Tensor<std::uint8_t> image(Index) { return {}; }
};
struct Floats : Ramps {
  Tensor<float> image(Index) const { return {}; }
};

}  // namespace stranger

using splitvit::data::Dataset;

static_assert(Dataset<splitvit::data::ImageSet>);
static_assert(Dataset<stranger::Ramps>);
static_assert(!Dataset<stranger::NoLabels>);
static_assert(!Dataset<stranger::NotConst>);
static_assert(!Dataset<stranger::Floats>);
static_assert(!Dataset<int>);

TEST_CASE("Dataset: a stranger's set goes through the loader", "[concepts]") {
  const stranger::Ramps set;
  const splitvit::data::Loader<float, stranger::Ramps> loader{
      set,
      {.batch = 4, .shuffle = false, .normalise = {.mean = {0, 0, 0}, .deviation = {1, 1, 1}}}};
  auto epoch = loader.epoch(0);
  splitvit::Index samples = 0;
  while (const auto batch = epoch.next()) {
    CHECK(batch->images.shape() == splitvit::Shape{batch->labels.row_count(), 3, 4, 4});
    CHECK(batch->images[0] == static_cast<float>(20 * samples) / 255.0f);
    samples += batch->images.dim(0);
  }
  CHECK(samples == 10);
}
