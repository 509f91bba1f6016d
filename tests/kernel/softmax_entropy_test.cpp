// SPDX-License-Identifier: MIT
#include <cmath>
#include <vector>

#include <splitvit/core/random.hpp>
#include <splitvit/kernel/softmax_entropy.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {
namespace {

/// -sum p ln p / ln V by the definition.
double entropy(const std::vector<double>& values, double unit) {
  double sum = 0, result = 0;
  for (const double v : values) sum += std::exp(v / unit);
  for (const double v : values) {
    const double p = std::exp(v / unit) / sum;
    result -= p * std::log(p);
  }
  return result / std::log(static_cast<double>(values.size()));
}

}  // namespace

TEST_CASE("softmax entropy: agrees with the definition", "[kernel]") {
  Rng rng{.seed = 3};
  for (const Index n : {2, 7, 8, 100}) {
    const auto values = test::drawn_vector<double>(n, rng);
    for (const double unit : {0.1, 1.0, 30.0})
      CHECK(softmax_entropy<double>(values, unit) ==
            Approx(entropy(values, unit)).epsilon(1e-9).margin(1e-14));
  }
  CHECK(softmax_entropy<float>(std::vector<float>{5.0f}, 1.0) == 0.0);
  CHECK(softmax_entropy<float>(std::vector<float>(9, 5.0f), 1.0) == Approx(1.0));
  CHECK(softmax_entropy<float>(std::vector<float>{0.0f, 4e4f}, 1.0) == 0.0);
  for (const double x : {0.0, -1e-9, -0.3, -0.4, -1.0, -20.0, -699.0})
    CHECK(exp_of_negative(x) == Approx(std::exp(x)).epsilon(1e-11));
  CHECK(exp_of_negative(-1e300) == 0.0);
}

TEST_CASE("softmax entropy: a logarithm that every machine rounds alike", "[kernel]") {
  for (const double x : {1.0, 2.0, 0x1p-300, 3.0, 0.7, 1e-12, 9e200})
    CHECK(log2_of(x) == Approx(std::log2(x)).epsilon(1e-15));
  CHECK(log2_of(0x1p-300) == -300.0);
}

}  // namespace splitvit::kernel
