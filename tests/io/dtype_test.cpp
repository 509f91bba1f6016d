// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <limits>

#include <splitvit/io/dtype.hpp>

#include "support/catch.hpp"

using namespace splitvit;

TEST_CASE("dtypes: the table is in the order of the enumeration", "[io]") {
  for (std::size_t i = 0; i < io::dtypes.size(); ++i)
    CHECK(static_cast<std::size_t>(io::dtypes[i].dtype) == i);
  CHECK(io::facts(io::Dtype::bf16).name == "BF16");
  CHECK(io::facts(io::Dtype::f64).bytes == 8);
}

TEST_CASE("from_bfloat16: the upper half of a float", "[io]") {
  CHECK(io::from_bfloat16(0x3f80) == 1.0f);
  CHECK(io::from_bfloat16(0xc040) == -3.0f);
  CHECK(io::from_bfloat16(0x7f80) == std::numeric_limits<float>::infinity());
  CHECK(std::isnan(io::from_bfloat16(0x7fc0)));
}

TEST_CASE("from_float16: normal, tiny and special values", "[io]") {
  CHECK(io::from_float16(0x3c00) == 1.0f);
  CHECK(io::from_float16(0xc248) == -3.140625f);
  CHECK(io::from_float16(0x7bff) == 65504.0f);
  CHECK(io::from_float16(0x0400) == 0x1p-14f);
  CHECK(io::from_float16(0x0001) == 0x1p-24f);
  CHECK(io::from_float16(0x03ff) == 1023 * 0x1p-24f);
  CHECK(io::from_float16(0x8000) == 0.0f);
  CHECK(std::signbit(io::from_float16(0x8000)));
  CHECK(io::from_float16(0xfc00) == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(io::from_float16(0x7e00)));
}
