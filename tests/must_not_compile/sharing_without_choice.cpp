// SPDX-License-Identifier: MIT
// A sharing policy says who takes part in the next round.
// error: AnySharing holds a sharing policy
#include <splitvit/split/sharing.hpp>

using namespace splitvit;

struct Mine {
  split::SampleMean averaging;
  static constexpr bool has_part_for_each = false;
#if SPLITVIT_MISUSE
  std::uint32_t choose(std::span<const split::Candidate> from, Rng) const { return from[0].client; }
#else
  std::vector<std::uint32_t> choose(std::span<const split::Candidate> from, Rng) const {
    return {from[0].client};
  }
#endif
};

int main() { return split::AnySharing<float>{Mine{}}.description().empty(); }
