// SPDX-License-Identifier: MIT
#include <splitvit/nn/pos_embed.hpp>

#include "support/catch.hpp"

using namespace splitvit;

namespace {
/// CLS is -1; patch (y, x) is (y, x).
Tensor<double> ramp(Index grid) {
  Tensor<double> positions{Shape{1, 1 + grid * grid, 2}};
  positions[0] = positions[1] = -1;
  for (Index p = 0; p < grid * grid; ++p) {
    positions[2 + 2 * p] = static_cast<double>(p / grid);
    positions[3 + 2 * p] = static_cast<double>(p % grid);
  }
  return positions;
}
}  // namespace

TEST_CASE("pos_embed: the same grid stays as it is", "[nn]") {
  const auto before = ramp(4);
  const auto after = nn::resample_positions(before, 4);
  for (Index i = 0; i < before.size(); ++i) CHECK(after[i] == Approx(before[i]).margin(1e-12));
}

TEST_CASE("pos_embed: a ramp stays a ramp away from the edges, and axes are not mixed up", "[nn]") {
  const auto fine = nn::resample_positions(ramp(8), 16);
  CHECK(fine.shape() == Shape{1, 257, 2});
  CHECK(fine[0] == -1);
  CHECK(fine[1] == -1);
  for (Index y = 4; y < 12; ++y)
    for (Index x = 4; x < 12; ++x) {
      const Index at = 2 * (1 + y * 16 + x);
      CHECK(fine[at] == Approx((static_cast<double>(y) + 0.5) / 2 - 0.5));
      CHECK(fine[at + 1] == Approx((static_cast<double>(x) + 0.5) / 2 - 0.5));
    }
}

TEST_CASE("pos_embed: shrinking a constant gives the constant", "[nn]") {
  const auto coarse =
      nn::resample_positions(Tensor<float>::full(Shape{1, 1 + 14 * 14, 3}, 0.25f), 3);
  CHECK(coarse.shape() == Shape{1, 10, 3});
  for (const float value : coarse.span()) CHECK(value == Approx(0.25f));
}

TEST_CASE("pos_embed: what is no square grid is refused", "[nn]") {
  CHECK_THROWS_AS(nn::resample_positions(Tensor<float>{Shape{1, 13, 2}}, 4), ShapeError);
  CHECK_THROWS_AS(nn::resample_positions(Tensor<float>{Shape{1, 1, 2}}, 4), ShapeError);
  CHECK_THROWS_AS(nn::resample_positions(Tensor<float>{Shape{5, 2}}, 4), ShapeError);
  CHECK_THROWS_AS(nn::resample_positions(Tensor<float>{Shape{1, 5, 2}}, 0), ShapeError);
}
