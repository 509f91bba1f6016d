// SPDX-License-Identifier: MIT
#include <cstdint>
#include <stdexcept>

#include <splitvit/data/normalise.hpp>

#include "support/catch.hpp"

using namespace splitvit;

TEST_CASE("channel_statistics: mean and deviation of each channel", "[data]") {
  data::ImageSet set;
  set.images = Tensor<std::uint8_t>{{2, 3, 1, 2}};
  set.labels.resize(2);
  const int values[] = {0, 255, 51, 51, 0, 102, 255, 0, 51, 51, 102, 0};
  for (Index i = 0; i < 12; ++i) set.images[i] = static_cast<std::uint8_t>(values[i]);
  const auto found = data::channel_statistics(set);
  CHECK(found.mean[0] == Approx(0.5));
  CHECK(found.deviation[0] == Approx(0.5));
  CHECK(found.mean[1] == Approx(0.2));
  CHECK(found.deviation[1] == Approx(1.0 / 255.0));  // not zero
  CHECK(found.mean[2] == Approx(0.2));
  CHECK(found.deviation[2] == Approx(0.2));
}

TEST_CASE("channel_statistics: of some images, evenly spread", "[data]") {
  data::ImageSet set;
  set.images = Tensor<std::uint8_t>{{9, 1, 1, 1}};
  set.labels.resize(9);
  for (Index i = 0; i < 9; ++i) set.images[i] = static_cast<std::uint8_t>(10 * i);
  CHECK(data::channel_statistics(set, 3).mean[0] == Approx(30.0 / 255.0));  // 0, 3 and 6
  CHECK(data::channel_statistics(set, 100).mean[0] == Approx(40.0 / 255.0));
}

TEST_CASE("channel_statistics: grey gives three equal channels", "[data]") {
  data::ImageSet set;
  set.images = Tensor<std::uint8_t>{{1, 1, 1, 2}};
  set.labels.resize(1);
  set.images[1] = 255;
  const auto found = data::channel_statistics(set);
  for (const double mean : found.mean) CHECK(mean == Approx(0.5));
  for (const double deviation : found.deviation) CHECK(deviation == Approx(0.5));
  CHECK_THROWS_AS(data::channel_statistics({}), std::invalid_argument);
}
