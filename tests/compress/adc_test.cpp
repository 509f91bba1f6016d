// SPDX-License-Identifier: MIT

#include <cmath>

#include <splitvit/compress/adc.hpp>

#include "support/catch.hpp"
#include "support/random_batch.hpp"

namespace splitvit::compress {
namespace {

/// For 128 samples of 197 tokens: what a ratio becomes.
struct Row {
  Split split;
  double ratio;
  Index K, P;
  double real;  // K P / (B N)
};

constexpr Row table[] = {
    {Split::sqrt_sqrt, .01, 12, 19, .0090},     {Split::sqrt_sqrt, .05, 28, 44, .0489},
    {Split::sqrt_sqrt, .1, 40, 62, .0984},      {Split::sqrt_sqrt, .2, 57, 88, .1989},
    {Split::sqrt_sqrt, .3, 70, 107, .2970},     {Split::sqrt_sqrt, .4, 80, 124, .3934},
    {Split::sqrt_sqrt, .5, 90, 139, .4961},     {Split::fifth, .01, 50, 4, .0079},
    {Split::fifth, .05, 70, 17, .0472},         {Split::fifth, .1, 80, 31, .0984},
    {Split::fifth, .2, 92, 54, .1970},          {Split::fifth, .3, 100, 75, .2974},
    {Split::fifth, .4, 106, 94, .3951},         {Split::fifth, .5, 111, 113, .4974},
    {Split::final_release, .01, 12, 62, .0295}, {Split::final_release, .05, 28, 93, .1033},
    {Split::final_release, .1, 40, 110, .1745}, {Split::final_release, .2, 57, 131, .2961},
    {Split::final_release, .3, 70, 145, .4025}, {Split::final_release, .4, 80, 156, .4949},
    {Split::final_release, .5, 90, 165, .5889},
};

}  // namespace

TEST_CASE("adc: counts of the reference at 128 samples of 197 tokens", "[compress]") {
  for (const Row& row : table) {
    INFO("ratio " << row.ratio << " split " << static_cast<int>(row.split));
    const KeepFractions keep = keep_fractions(row.ratio, row.split);
    CHECK(kept_count(keep.samples, 128) == row.K);
    CHECK(kept_count(keep.tokens, 197) == row.P);
    CHECK(static_cast<double>(row.K * row.P) / (128.0 * 197.0) == Approx(row.real).margin(5e-5));
    const auto stage = adc(row.ratio, row.split);
    CHECK(stage.first.keep == keep.samples);
    CHECK(stage.second.keep == keep.tokens);
  }
}

TEST_CASE("adc: compresses a batch", "[compress]") {
  Rng rng{.seed = 1};
  const auto batch = test::random_batch<float>({.samples = 32, .tokens = 26}, rng);
  const auto out = adc(0.25)(batch, rng);
  CHECK(out.samples() == 16);
  CHECK(out.token_count() == 13);
  const auto other = adc({.samples = 0.125, .tokens = 1.0})(batch, rng);
  CHECK(other.samples() == 4);
  CHECK(other.token_count() == 26);
  CHECK(test::equal_bits(adc(1.0)(batch, rng), batch));
}

TEST_CASE("adc: misuse", "[compress]") {
  for (const double ratio : {0.0, -0.1, 1.1, std::nan("")}) {
    CHECK_THROWS_AS(adc(ratio), std::invalid_argument);
    CHECK_THROWS_AS(adc({.samples = ratio, .tokens = 0.5}), std::invalid_argument);
    CHECK_THROWS_AS(adc({.samples = 0.5, .tokens = ratio}), std::invalid_argument);
  }
  CHECK_THROWS_AS(keep_fractions(0.5, static_cast<Split>(9)), std::invalid_argument);
}

}  // namespace splitvit::compress
