// SPDX-License-Identifier: MIT
#include <splitvit/codec/float32.hpp>
#include <splitvit/codec/half.hpp>
#include <splitvit/codec/receipts.hpp>
#include <splitvit/codec/top_k.hpp>

#include "support/catch.hpp"

namespace splitvit::codec {

static_assert(StraightThrough<Float32, float>);
static_assert(StraightThrough<Float16, float>);  // a count is nothing to undo
static_assert(!StraightThrough<TopK<>, float>);  // needs to know where values were
static_assert(!StraightThrough<int, float>);     // no codec

TEST_CASE("receipts: how many values were too large", "[codec]") {
  CHECK(saturated_values(NoReceipt{}) == 0);
  CHECK(saturated_values(Saturation{{}, 3}) == 3);
  CHECK(is_straight_through<float>(Float32{}));
  CHECK(!is_straight_through<double>(TopK<>{}));
}

}  // namespace splitvit::codec
