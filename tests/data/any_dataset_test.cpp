// SPDX-License-Identifier: MIT
#include <algorithm>

#include <splitvit/data/any_dataset.hpp>
#include <splitvit/data/loader.hpp>

#include "support/catch.hpp"
#include "support/image_sets.hpp"

using namespace splitvit;

TEST_CASE("AnyDataset: says what the set within says, copies share it", "[data]") {
  const auto set = support::counting_set(4, 3, 2, 5);
  const data::AnyDataset any{set};
  const data::AnyDataset copy = any;
  for (const data::AnyDataset& one : {any, copy}) {
    CHECK(one.size() == 4);
    CHECK(one.classes() == 4);
    CHECK(one.image_shape() == Shape{3, 2, 5});
    CHECK(one.label(3) == 3);
    CHECK(std::ranges::equal(one.image(2).span(), set.image(2).span()));
  }
  CHECK_THROWS_AS(any.image(4), ShapeError);
}

TEST_CASE("AnyDataset: gives the loader the same batches", "[data]") {
  const auto set = support::counting_set(10, 1, 3, 3);
  const data::AnyDataset any{set};
  const data::LoaderOptions options{.batch = 4, .image = 5, .seed = 1};
  auto first = data::Loader<float>{set, options}.epoch(2);
  auto second = data::Loader<float, data::AnyDataset>{any, options}.epoch(2);
  while (const auto wanted = first.next()) {
    const auto got = second.next();
    REQUIRE(got);
    CHECK(std::ranges::equal(got->images.span(), wanted->images.span()));
    CHECK(got->indices == wanted->indices);
  }
  CHECK_FALSE(second.next());
}
