// SPDX-License-Identifier: MIT
#include <splitvit/compress/cut_batch.hpp>

#include "support/catch.hpp"

namespace splitvit::compress {

TEST_CASE("kept_count: the whole part, in double precision", "[compress]") {
  CHECK(kept_count(0.29, 100) == 28);
  CHECK(kept_count(0.5, 7) == 3);
  CHECK(kept_count(1.0, 7) == 7);
  CHECK(kept_count(0.1, 7) == 0);
  CHECK(kept_count(0.1, 7, 1) == 1);
  CHECK(kept_count(0.1, 7, 9) == 7);
  CHECK(kept_count(0.9, 7, 2) == 6);
}

}  // namespace splitvit::compress
