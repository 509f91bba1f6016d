// SPDX-License-Identifier: MIT

#include <vector>

#include <splitvit/compress/gather.hpp>

#include "support/catch.hpp"
#include "support/random_batch.hpp"

namespace splitvit::compress {

using test::equal_bits;
using test::random_batch;

TEST_CASE("gather_tokens: any order, one choice for all or one for each", "[compress]") {
  Rng rng{.seed = 11};
  const auto batch = random_batch<float>({.samples = 3, .tokens = 5, .width = 2}, rng);
  const std::vector<Index> same{0, 4, 2};
  const Tensor<Index> each{{3, 3}, std::vector<Index>{0, 4, 2, 0, 4, 2, 0, 4, 2}};
  CHECK(equal_bits(gather_tokens(batch, same), gather_tokens(batch, each)));
  CHECK(gather_tokens(batch, same).cls_attention[1] == batch.cls_attention[4]);
}

TEST_CASE("gather_tokens: misuse", "[compress]") {
  Rng rng{.seed = 12};
  const auto batch = random_batch<float>({.samples = 2, .tokens = 5}, rng);
  const auto gather = [&](const Shape& shape, const std::vector<Index>& index) {
    return gather_tokens(batch, Tensor<Index>{shape, index});
  };
  CHECK_THROWS_AS(gather({1, 2}, {0, 1}), ShapeError);
  CHECK_THROWS_AS(gather({2, 0}, {}), ShapeError);
  CHECK_THROWS_AS(gather({2, 6}, std::vector<Index>(12)), ShapeError);
  CHECK_THROWS_AS(gather({2, 2}, {0, 1, 0, 5}), std::invalid_argument);
  CHECK_THROWS_AS(gather({2, 2}, {0, 1, 0, -1}), std::invalid_argument);
  CHECK_THROWS_WITH(gather({2, 2}, {0, 1, 1, 0}), ContainsSubstring("CLS"));
  CHECK_THROWS_WITH(gather({2, 3}, {0, 1, 2, 0, 3, 3}), ContainsSubstring("comes twice"));
  CHECK_THROWS_AS(gather_tokens(batch, std::vector<Index>{}), ShapeError);
}

}  // namespace splitvit::compress
