// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>
#include <stdexcept>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/compress/add_noise.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"
#include "support/random_batch.hpp"

namespace splitvit::compress {

using test::equal_bits;
using test::random_batch;
using test::tensor;

TEST_CASE("AddNoise: without noise it clips, worked by hand", "[compress]") {
  const auto x = Variable<double>::parameter(tensor<double>({1, 2, 2}, {3, 4, 0.6, 0.8}));
  const CutBatch<double> batch{x, tensor<double>({1, 2}, {.5, .5}), std::vector<Index>{1}};
  Rng rng{.seed = 1};
  const auto out = AddNoise{.noise = 0, .clip = 2}(batch, rng);
  const double wanted[] = {1.2, 1.6, 0.6, 0.8};  // norms 2 and 1
  for (Index i = 0; i < 4; ++i) CHECK(out.tokens.value()[i] == Approx(wanted[i]));
  backward(out.tokens, tensor<double>({1, 2, 2}, {1, 2, 5, 6}));
  // 2/5 of (1, 2) less (3, 4) * 11/25
  const double gradient[] = {0.4 * (1 - 33.0 / 25), 0.4 * (2 - 44.0 / 25), 5, 6};
  for (Index i = 0; i < 4; ++i) CHECK(x.gradient()[i] == Approx(gradient[i]));
  CHECK(equal_bits(AddNoise{.noise = 0}(batch, rng).tokens.value(), x.value()));
}

TEST_CASE("AddNoise: the noise of a token is as long as it says", "[compress]") {
  Rng rng{.seed = 2};
  const auto batch = random_batch<float>({.samples = 20, .tokens = 10, .width = 50}, rng);
  double all = 0;
  for (const float value : batch.tokens.value().span())
    all += std::pow(static_cast<double>(value), 2);
  for (const double clip : {0.0, 0.5}) {
    const auto clean = AddNoise{.noise = 0, .clip = clip}(batch, rng);
    const auto out = AddNoise{.noise = 3, .clip = clip}(batch, rng);
    double sum = 0, squares = 0;
    for (Index i = 0; i < 20 * 10 * 50; ++i) {
      const double noise =
          static_cast<double>(out.tokens.value()[i]) - static_cast<double>(clean.tokens.value()[i]);
      sum += noise;
      squares += noise * noise;
    }
    const double norm = clip > 0 ? clip : std::sqrt(all / 200);
    CHECK(std::sqrt(squares / 200) == Approx(3 * norm).epsilon(0.03));
    CHECK(std::abs(sum / 10000) < 0.05 * norm);
    CHECK(equal_bits(out.cls_attention, batch.cls_attention));
  }
}

TEST_CASE("AddNoise: numbers at the limit stay finite, others are refused", "[compress]") {
  Rng rng{.seed = 3};
  auto batch = random_batch<double>({.samples = 2, .tokens = 2, .width = 3}, rng);
  for (double& value : batch.tokens.mutable_value().span())
    value = std::numeric_limits<double>::max();
  for (const double clip : {0.0, 1.0}) {
    const auto out = AddNoise{.noise = 1, .clip = clip}(batch, rng);
    for (const double value : out.tokens.value().span()) CHECK(std::isfinite(value));
  }
  batch.tokens.mutable_value()[4] = std::numeric_limits<double>::infinity();
  CHECK_THROWS_AS(AddNoise{}(batch, rng), std::invalid_argument);
  const auto good = random_batch<float>({}, rng);
  CHECK_THROWS_AS((AddNoise{.noise = -1}(good, rng)), std::invalid_argument);
  CHECK_THROWS_AS((AddNoise{.clip = -1}(good, rng)), std::invalid_argument);
  CHECK_THROWS_AS((AddNoise{.noise = std::nan("")}(good, rng)), std::invalid_argument);
}

}  // namespace splitvit::compress
