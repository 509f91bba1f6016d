// SPDX-License-Identifier: MIT
#include <cstdint>
#include <stdexcept>
#include <vector>

#include <splitvit/data/concepts.hpp>

#include "support/catch.hpp"
#include "support/image_sets.hpp"
#include "support/storage_error.hpp"

using namespace splitvit;

TEST_CASE("ImageSet: hands out images and labels", "[data]") {
  const data::ImageSet set = support::counting_set(5, 3, 2, 4);
  CHECK(set.size() == 5);
  CHECK(set.classes() == 5);
  CHECK(set.image_shape() == Shape{3, 2, 4});
  CHECK(set.label(3) == 3);
  const Tensor<std::uint8_t> image = set.image(1);
  CHECK(image.shape() == Shape{3, 2, 4});
  CHECK(image[0] == 24);
  CHECK(image[23] == 47);
}

TEST_CASE("ImageSet: no such sample", "[data]") {
  const data::ImageSet set = support::counting_set(5, 1, 2, 2);
  CHECK_THROWS_AS(set.image(5), ShapeError);
  CHECK_THROWS_AS(set.image(-1), ShapeError);
  CHECK_THROWS_AS(set.label(5), std::out_of_range);
}

TEST_CASE("slice: some samples as a set", "[data]") {
  const data::ImageSet set = support::counting_set(5, 1, 2, 2);
  const data::ImageSet part = data::slice(set, 2, 4);
  CHECK(part.size() == 2);
  CHECK(part.classes() == 5);
  CHECK(part.name == set.name);
  CHECK(part.label(1) == 3);
  CHECK(part.images[0] == 8);
  CHECK(data::slice(set, 5, 5).size() == 0);
  CHECK_THROWS_AS(data::slice(set, 4, 6), ShapeError);
  CHECK_THROWS_AS(data::slice(set, 3, 2), ShapeError);
  auto short_of_labels = set;
  short_of_labels.labels.pop_back();
  CHECK_THROWS_AS(data::slice(short_of_labels, 0, 5), ShapeError);
}

TEST_CASE("require_alike: one shape, the larger number of classes", "[data]") {
  data::TrainTest pair{support::counting_set(5, 1, 2, 2), support::counting_set(7, 1, 2, 2)};
  data::require_alike(pair, "test");
  CHECK(pair.train.classes() == 7);
  CHECK(pair.test.classes() == 7);
  pair.test = support::counting_set(5, 1, 2, 3);
  CHECK(support::fails_with(Reason::wrong_content, [&] { data::require_alike(pair, "test"); }));
}
