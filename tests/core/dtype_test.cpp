// SPDX-License-Identifier: MIT
#include <cstdint>

#include <splitvit/core/dtype.hpp>

#include "support/catch.hpp"

using namespace splitvit;

static_assert(dtype_of<float> == Dtype::f32 && dtype_of<double> == Dtype::f64);
static_assert(dtype_of<std::int32_t> == Dtype::i32 && dtype_of<std::int64_t> == Dtype::i64);
static_assert(dtype_of<std::uint8_t> == Dtype::u8);
static_assert(!HasDtype<std::uint16_t> && !HasDtype<const float>);

TEST_CASE("Dtype: the numbers in messages never change", "[core]") {
  CHECK(static_cast<int>(Dtype::f32) == 1);
  CHECK(static_cast<int>(Dtype::f64) == 2);
  CHECK(static_cast<int>(Dtype::i32) == 3);
  CHECK(static_cast<int>(Dtype::u8) == 4);
}
