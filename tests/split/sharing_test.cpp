// SPDX-License-Identifier: MIT
#include <algorithm>
#include <set>
#include <vector>

#include <splitvit/split/sharing.hpp>

#include "support/catch.hpp"

using namespace splitvit;
using split::AnySharing;
using split::Candidate;
using Numbers = std::vector<std::uint32_t>;

namespace {

constexpr std::array ten{Candidate{1, 0}, Candidate{2, 0}, Candidate{3, 0}, Candidate{4, 0},
                         Candidate{5, 0}, Candidate{6, 0}, Candidate{7, 0}, Candidate{8, 0},
                         Candidate{9, 0}, Candidate{10, 0}};

}  // namespace

TEST_CASE("sharing: shared and averaged draw some clients for a round, or take all", "[split]") {
  const AnySharing<float> all{split::Shared{}};
  CHECK(all.choose(ten, {}) == Numbers{1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  CHECK(!all.has_part_for_each);
  CHECK(all.description() == "shared, average by samples");

  const AnySharing<float> some{split::Averaged<>{.per_round = 4}};
  CHECK(some.has_part_for_each);
  std::set<std::uint32_t> seen;
  for (std::uint64_t round = 0; round < 40; ++round) {
    const Rng rng = Rng{.seed = 3}.at(round);
    const Numbers drawn = some.choose(ten, rng);
    CHECK(drawn.size() == 4);
    CHECK(std::set<std::uint32_t>(drawn.begin(), drawn.end()).size() == 4);
    CHECK(drawn == some.choose(ten, rng));
    seen.insert(drawn.begin(), drawn.end());
  }
  CHECK(seen.size() == 10);
  CHECK(some.choose(std::span{ten}.first(3), {}) == Numbers{1, 2, 3});
}

TEST_CASE("sharing: relay takes the client with the fewest rounds, and of those the first",
          "[split]") {
  const AnySharing<float> relay{split::Relay{}};
  CHECK(!relay.has_part_for_each);
  CHECK(relay.choose(ten, {}) == Numbers{1});
  constexpr std::array later{Candidate{2, 3}, Candidate{5, 2}, Candidate{7, 2}};
  CHECK(relay.choose(later, {}) == Numbers{5});
}
