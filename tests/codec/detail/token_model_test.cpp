// SPDX-License-Identifier: MIT
#include <cstdint>
#include <set>

#include <splitvit/codec/detail/token_model.hpp>
#include <splitvit/core/state.hpp>

#include "support/catch.hpp"

namespace splitvit::codec::detail {
namespace {

struct ModelHolder {
  TokenModel model;
  void each_state(auto&& see) { model.each_state(see, "x."); }
};

}  // namespace

TEST_CASE("token model: levels are half octaves", "[codec]") {
  CHECK(level_of(0) == 0);
  CHECK(level_of(1) == 0);
  for (int level = 2; level < levels; ++level) CHECK(level_of(size_of_level(level)) == level);
  CHECK(size_of_level(20) == 1024);
  CHECK(size_of_level(21) == 1536);
  CHECK(size_of_level(levels - 1) < std::uint64_t{1} << 36);
}

TEST_CASE("token model: every context of a magnitude has a table of its own", "[codec]") {
  std::set<std::size_t> found;
  for (const bool last : {false, true})
    for (std::size_t scale = 0; scale < 16; ++scale)
      for (unsigned near = 0; near <= 30; ++near)
        for (std::uint32_t recent = 0; recent <= 260; ++recent)
          found.insert(TokenContexts::magnitude(last, scale, near, recent));
  CHECK(found.size() == TokenContexts::magnitudes);
  CHECK(*found.rbegin() == TokenContexts::magnitudes - 1);
  std::uint32_t recent = 0;
  for (int i = 0; i < 1000; ++i) recent = TokenContexts::with_recent(recent, 15);
  CHECK(recent < 260);
  for (int i = 0; i < 1000; ++i) recent = TokenContexts::with_recent(recent, 0);
  CHECK(recent < 4);
}

TEST_CASE("token model: learns mean magnitudes, of first tokens apart", "[codec]") {
  TokenModel model = TokenModel::initial();
  CHECK(!model.fits(2));
  model.sizes = {0, 1024, 2048, 0};
  CHECK(model.fits(2));
  SymbolsSeen seen = TokenModel::nothing(2);
  seen.sums = {8, 0, 20, 5};
  seen.counts[3][1] = 1000;
  const auto before = model.counts[3];
  model.learn(seen, 4, 10);
  CHECK(model.sizes == std::vector<std::uint64_t>{1024, 512, 2048, 256});
  CHECK(model.counts[3][1] == before[1] + 1000);
  CHECK(model.counts[4] == TokenModel::initial().counts[4]);
  CHECK(model.tables == tables_of(model.counts));
  model.learn(seen, 0, 10);  // no first tokens: nothing is learnt about them
  CHECK(model.sizes[0] == 1024);
}

TEST_CASE("token model: its state comes back", "[codec]") {
  ModelHolder one, other;
  one.model = TokenModel::initial();
  one.model.sizes = {1, std::uint64_t{1} << 40};
  one.model.counts[5][6] = 77;
  set_state_bytes(other, state_bytes(one));
  CHECK(other.model.counts == one.model.counts);
  CHECK(other.model.sizes == one.model.sizes);
  CHECK(other.model.tables == tables_of(other.model.counts));
}

}  // namespace splitvit::codec::detail
