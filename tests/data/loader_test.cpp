// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <vector>

#include <splitvit/core/parallel.hpp>
#include <splitvit/data/augment.hpp>
#include <splitvit/data/loader.hpp>
#include <splitvit/data/shapes.hpp>

#include "support/catch.hpp"
#include "support/image_sets.hpp"

using namespace splitvit;
using data::Loader;

namespace {

struct Taken {
  std::vector<float> values;
  std::vector<Index> labels, indices;
  bool operator==(const Taken&) const = default;
};

Taken take_all(Loader<float>::Epoch epoch) {
  Taken out;
  while (const auto batch = epoch.next()) {
    const auto values = batch->images.span();
    out.values.insert(out.values.end(), values.begin(), values.end());
    for (Index i = 0; i < batch->labels.row_count(); ++i)
      out.labels.push_back(batch->labels.row(i).classes[0]);
    out.indices.insert(out.indices.end(), batch->indices.begin(), batch->indices.end());
  }
  return out;
}

constexpr data::ChannelStatistics plain = {.mean = {0, 0, 0}, .deviation = {1, 1, 1}};

}  // namespace

TEST_CASE("Loader: batches of the right shapes, the last one shorter", "[data]") {
  const auto set = support::counting_set(10, 3, 4, 5);
  const Loader<float> loader{set, {.batch = 4}};
  CHECK(loader.batches_per_epoch() == 3);
  CHECK(loader.image_shape() == Shape{3, 4, 5});
  auto epoch = loader.epoch(0);
  std::vector<Index> sizes;
  while (const auto batch = epoch.next()) {
    sizes.push_back(batch->images.dim(0));
    CHECK(batch->images.shape() == Shape{sizes.back(), 3, 4, 5});
    CHECK(batch->labels.row_count() == sizes.back());
    CHECK(batch->labels == batch->indices);  // sample i has label i in this set
  }
  CHECK(sizes == std::vector<Index>{4, 4, 2});
  CHECK(Loader<float>{set, {.batch = 4, .drop_last = true}}.batches_per_epoch() == 2);
  CHECK(Loader<float>{set, {.batch = 5, .drop_last = true}}.batches_per_epoch() == 2);
  CHECK(Loader<float>{set, {.batch = 100}}.batches_per_epoch() == 1);
}

TEST_CASE("Loader: the order of an epoch is pinned", "[data]") {
  const auto set = support::counting_set(10, 1, 1, 1);
  const Loader<float> loader{set, {.seed = 7}};
  CHECK(loader.order(0) == std::vector<Index>{5, 0, 4, 9, 8, 2, 6, 1, 3, 7});
  CHECK(loader.order(1) == std::vector<Index>{1, 9, 7, 4, 6, 0, 2, 5, 3, 8});
  CHECK(Loader<float>{set, {.seed = 8}}.order(0) != loader.order(0));
  std::vector<Index> straight(10);
  std::iota(straight.begin(), straight.end(), Index{0});
  CHECK(Loader<float>{set, {.shuffle = false}}.order(3) == straight);
  for (Index e = 0; e < 20; ++e) {
    auto order = loader.order(e);
    std::ranges::sort(order);
    CHECK(order == straight);
  }
  CHECK(take_all(loader.epoch(1)).indices == loader.order(1));
}

TEST_CASE("Loader: the same batches for any number of threads and any lead", "[data]") {
  const auto set = data::make_shapes({.samples = 50, .test_samples = 1, .image = 16}).train;
  data::LoaderOptions options{
      .batch = 8, .image = 24, .augment = {data::Flip{}, data::Crop{.padding = 3}}, .seed = 3};
  const Taken wanted = take_all(Loader<float>{set, options}.epoch(2));
  CHECK(wanted.labels.size() == 50);
  for (const int threads : {1, 2, 3, 8})
    for (const Index ahead : {0, 1, 5}) {
      options.ahead = ahead;
      const Taken got =
          with_threads(threads, [&] { return take_all(Loader<float>{set, options}.epoch(2)); });
      REQUIRE(got == wanted);
    }
  CHECK_FALSE(take_all(Loader<float>{set, options}.epoch(3)) == wanted);
}

TEST_CASE("Loader: an epoch begun at batch k continues as if never left", "[data]") {
  const auto set = data::make_shapes({.samples = 30, .test_samples = 1, .image = 8}).train;
  const Loader<float> loader{set,
                             {.batch = 7, .augment = {data::Flip{}, data::Crop{.padding = 2}}}};
  for (Index first = 0; first <= loader.batches_per_epoch(); ++first) {
    auto whole = loader.epoch(4);
    for (Index b = 0; b < first; ++b) whole.next();
    CHECK(take_all(std::move(whole)) == take_all(loader.epoch(4, first)));
  }
  CHECK_THROWS_AS(loader.epoch(4, 6), std::invalid_argument);
  CHECK_THROWS_AS(loader.epoch(4, -1), std::invalid_argument);
  CHECK_THROWS_AS(loader.epoch(-1), std::invalid_argument);
}

TEST_CASE("Loader: normalises each channel, repeats grey", "[data]") {
  const auto colour = support::counting_set(1, 3, 1, 1);  // values 0, 1, 2
  const auto batch =
      Loader<double>{colour,
                     {.normalise = {.mean = {0.5, 0.25, 0.0}, .deviation = {0.5, 1.0, 2.0}}}}
          .epoch(0)
          .next();
  CHECK(batch->images[0] == Approx(-1.0));
  CHECK(batch->images[1] == Approx(1.0 / 255.0 - 0.25));
  CHECK(batch->images[2] == Approx(1.0 / 255.0));

  const auto grey = support::counting_set(2, 1, 1, 2);  // values 0 to 3
  const auto three = Loader<float>{grey, {.shuffle = false, .normalise = plain}}.epoch(0).next();
  CHECK(three->images.shape() == Shape{2, 3, 1, 2});
  for (const Index c : {6, 8, 10}) CHECK(three->images[c + 1] == 3.0f / 255.0f);
  CHECK(Loader<float>{grey, {.channels = 1}}.epoch(0).next()->images.shape() == Shape{2, 1, 1, 2});
}

TEST_CASE("Loader: resizes to a square", "[data]") {
  const auto set = support::counting_set(3, 1, 4, 6);
  const auto batch =
      Loader<float>{set, {.image = 5, .shuffle = false, .normalise = plain}}.epoch(0).next();
  REQUIRE(batch->images.shape() == Shape{3, 3, 5, 5});
  std::vector<std::uint8_t> wanted(25);
  data::Resizer{4, 6, 5, 5}(1, set.image(2).span(), wanted);
  for (Index p = 0; p < 25; ++p)
    CHECK(batch->images[2 * 75 + 50 + p] ==
          static_cast<float>(wanted[static_cast<std::size_t>(p)] / 255.0));
}

namespace {

/// Sample i is grey and has i + 1 rows of i + 2 pixels.
struct Growing {
  Shape shape{1, 0, 0};
  Index size() const { return 5; }
  Index classes() const { return 5; }
  Shape image_shape() const { return shape; }
  Index label(Index i) const { return i; }
  Tensor<std::uint8_t> image(Index i) const {
    auto out = Tensor<std::uint8_t>{{1, i + 1, i + 2}};
    for (Index p = 0; p < out.size(); ++p) out[p] = static_cast<std::uint8_t>(40 * p);
    return out;
  }
};

}  // namespace

TEST_CASE("Loader: images that differ in size become alike", "[data]") {
  const Growing set;
  const auto batch = Loader<float, Growing>{set, {.image = 4, .shuffle = false, .normalise = plain}}
                         .epoch(0)
                         .next();
  REQUIRE(batch->images.shape() == Shape{5, 3, 4, 4});
  for (Index i = 0; i < 5; ++i) {
    std::vector<std::uint8_t> wanted(16);
    data::Resizer{i + 1, i + 2, 4, 4}(1, set.image(i).span(), wanted);
    for (Index p = 0; p < 16; ++p)
      REQUIRE(batch->images[i * 48 + p] ==
              static_cast<float>(wanted[static_cast<std::size_t>(p)] / 255.0));
  }
  CHECK_THROWS_WITH((Loader<float, Growing>{set, {}}), ContainsSubstring("differ in size"));
  // A set that promises one size and does not keep to it.
  const Growing liar{.shape = {1, 1, 2}};
  const Loader<float, Growing> loader{liar, {.shuffle = false}};
  auto epoch = loader.epoch(0);
  CHECK_THROWS_WITH(epoch.next(), ContainsSubstring("sample 1 is (1, 2, 3)"));
}

TEST_CASE("Loader: an epoch outlives its loader, and may be dropped early", "[data]") {
  const auto set = support::counting_set(100, 1, 2, 2);
  std::optional<Loader<float>::Epoch> epoch;
  {
    const Loader<float> loader{set, {.batch = 3}};
    epoch.emplace(loader.epoch(0));
    for (int i = 0; i < 50; ++i) {
      auto dropped = loader.epoch(i);
      if (i % 2 == 0) dropped.next();
    }
  }
  CHECK(take_all(std::move(*epoch)).indices.size() == 100);
}

TEST_CASE("Loader: what goes wrong ahead comes out of next", "[data]") {
  auto set = support::counting_set(9, 1, 2, 2);
  set.labels[7] = 9;
  const Loader<float> loader{set, {.batch = 3, .shuffle = false}};
  auto epoch = loader.epoch(0);
  CHECK(epoch.next());
  CHECK(epoch.next());
  CHECK_THROWS_WITH(epoch.next(), ContainsSubstring("sample 7 has label 9"));
}

TEST_CASE("Loader: refuses options and sets that cannot be", "[data]") {
  const auto set = support::counting_set(4, 3, 2, 2);
  const auto refuses = [](const data::ImageSet& what, const data::LoaderOptions& options) {
    CHECK_THROWS_AS((Loader<float>{what, options}), std::invalid_argument);
  };
  refuses(set, {.batch = 0});
  refuses(set, {.image = -1});
  refuses(set, {.channels = 2});
  refuses(set, {.channels = 1});
  refuses(set, {.normalise = {.deviation = {0.2, 0.0, 0.2}}});
  refuses(set, {.batch = 5, .drop_last = true});
  refuses(set, {.ahead = -1});
  const data::ImageSet empty;
  refuses(empty, {});
  refuses(support::counting_set(4, 2, 2, 2), {});
}
