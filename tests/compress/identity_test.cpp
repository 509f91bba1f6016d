// SPDX-License-Identifier: MIT

#include <splitvit/compress/identity.hpp>

#include "support/catch.hpp"
#include "support/random_batch.hpp"

namespace splitvit::compress {

TEST_CASE("Identity: returns the batch as it is", "[compress]") {
  Rng rng{.seed = 1};
  const auto batch = test::random_batch<float>({}, rng);
  const Rng before = rng;
  const auto out = Identity{}(batch, rng);
  CHECK(test::equal_bits(out, batch));
  CHECK(out.tokens.node() == batch.tokens.node());
  CHECK(rng.position == before.position);
}

}  // namespace splitvit::compress
