// SPDX-License-Identifier: MIT

#include <cmath>

#include <splitvit/compress/kept_count.hpp>

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

TEST_CASE("require_fraction: names the operation and what came", "[compress]") {
  CHECK_NOTHROW(require_fraction("f", 1.0));
  CHECK_NOTHROW(require_fraction("f", 1e-300));
  CHECK_THROWS_AS(require_fraction("f", 0.0), std::invalid_argument);
  CHECK_THROWS_AS(require_fraction("f", std::nan("")), std::invalid_argument);
  CHECK_THROWS_WITH(require_fraction("f", 1.5), ContainsSubstring("f: keep is 1.5"));
}

TEST_CASE("require_at_least: names the operation, the option and what came", "[compress]") {
  CHECK_NOTHROW(require_at_least("f", "rounds", 1, 1));
  CHECK_NOTHROW(require_at_least("f", "tolerance", 0.0, 0));
  CHECK_THROWS_AS(require_at_least("f", "tolerance", std::nan(""), 0), std::invalid_argument);
  CHECK_THROWS_WITH(require_at_least("f", "rounds", Index{-2}, 1),
                    ContainsSubstring("f: rounds is -2, wanted at least 1"));
}

}  // namespace splitvit::compress
