// SPDX-License-Identifier: MIT
#include <stdexcept>
#include <vector>

#include <splitvit/data/endless.hpp>

#include "support/catch.hpp"
#include "support/image_sets.hpp"

using namespace splitvit;

TEST_CASE("Endless: epoch after epoch, and the same from any batch on", "[data]") {
  const auto set = support::counting_set(5, 1, 2, 2);
  const data::Loader<float> loader{set, {.batch = 2, .channels = 1, .seed = 3}};
  std::vector<std::vector<Index>> wanted;
  for (Index epoch = 0; epoch < 3; ++epoch)
    for (auto batches = loader.epoch(epoch); const auto batch = batches.next();)
      wanted.push_back(batch->indices);
  REQUIRE(wanted.size() == 9);
  for (Index taken = 0; taken < 9; ++taken) {
    data::Endless<float> endless{loader, taken};
    for (auto at = static_cast<std::size_t>(taken); at < wanted.size(); ++at)
      CHECK(endless().indices == wanted[at]);
  }
  CHECK_THROWS_AS((data::Endless<float>{loader, -3}), std::invalid_argument);
}
