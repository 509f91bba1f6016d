// SPDX-License-Identifier: MIT
#include <algorithm>
#include <set>
#include <string>

#include <splitvit/codec/quantise.hpp>
#include <splitvit/leakage/tap.hpp>
#include <splitvit/nn/bottleneck.hpp>
#include <splitvit/nn/cut.hpp>
#include <splitvit/spec/codecs.hpp>
#include <splitvit/spec/stages.hpp>

#include "split/loopback.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::leakage {

using test::client_part;
using test::drawn;
using test::equal_bits;
using test::small_vit;

namespace {
Tensor<float> some_images(Index count) {
  Rng rng{.seed = 1};
  return drawn<float>({count, small_vit.channels, small_vit.image, small_vit.image}, rng);
}
}  // namespace

TEST_CASE("tap: without compression it shows the tokens at the cut", "[leakage]") {
  const auto images = some_images(4);
  Tap<float> tap{client_part(), compress::Identity{}, {}};
  const auto seen = tap(images);
  CHECK(equal_bits(seen.tokens, client_part().to_cut(Variable<float>{images}).tokens.value()));
  CHECK((seen.rows_of(4) == std::vector<Index>{0, 1, 2, 3}));
}

TEST_CASE("tap: it tells who was merged, and who was left out", "[leakage]") {
  const auto images = some_images(12);
  Tap<float> tap{client_part(), spec::parse_stage<float>("adc:0.3"), codec::Quantise{.bits = 8}};
  const auto seen = tap(images);
  CHECK(seen.tokens.dim(0) == 6);  // sqrt(0.3) of 12
  CHECK(seen.tokens.dim(1) == 2);
  std::set<Index> all;
  for (const auto& members : seen.members) all.insert(members.begin(), members.end());
  CHECK(all.size() == 12);
  const auto rows = seen.rows_of(12);
  CHECK(*std::ranges::min_element(rows) == 0);
  CHECK(*std::ranges::max_element(rows) == 5);

  Tap<float> half{client_part(), spec::parse_stage<float>("drop:0.5"), {}};
  CHECK(std::ranges::count(half(images).rows_of(12), -1) == 6);
  CHECK((half(images).members != half(images).members));  // other draws in each step
}

TEST_CASE("tap: narrow tokens, and codecs with tables", "[leakage]") {
  const auto images = some_images(6);
  nn::Part<float> part = client_part();
  part.encoder = nn::make_encoder<float>(small_vit.dim, {.ratio = 0.25}, test::start);
  Tap<float> narrow{part, compress::Identity{}, {}};
  CHECK(narrow(images).tokens.shape() == Shape{6, 5, 4});
  Tap<float> coded{client_part(), compress::Identity{}, spec::parse_codec<float>("transform:0.5")};
  const auto exact = client_part().to_cut(Variable<float>{images}).tokens.value();
  for (int step = 0; step < 3; ++step) {
    const auto seen = coded(images);
    REQUIRE(seen.tokens.shape() == exact.shape());
    for (Index i = 0; i < exact.size(); ++i) CHECK(std::abs(seen.tokens[i] - exact[i]) < 2);
  }
}

}  // namespace splitvit::leakage
