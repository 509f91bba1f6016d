// SPDX-License-Identifier: MIT
#include <cmath>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/ops/sum.hpp>
#include <splitvit/core/parallel.hpp>
#include <splitvit/core/random.hpp>
#include <splitvit/nn/distance_correlation.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::nn {

using test::drawn;
using test::equal_bits;
using test::tensor;

namespace {

/// By the definition, in three loops.
double by_definition(const Tensor<double>& x, const Tensor<double>& z) {
  const auto centred = [](const Tensor<double>& of) {
    const Index B = of.dim(0), width = of.size() / B;
    const auto distance = [&](Index i, Index j) {
      double sum = 0;
      for (Index k = 0; k < width; ++k) sum += std::pow(of[i * width + k] - of[j * width + k], 2);
      return std::sqrt(sum);
    };
    std::vector<double> all;
    for (Index i = 0; i < B; ++i)
      for (Index j = 0; j < B; ++j) {
        double row = 0, column = 0, both = 0;
        for (Index k = 0; k < B; ++k) {
          row += distance(i, k) / static_cast<double>(B);
          column += distance(k, j) / static_cast<double>(B);
          for (Index m = 0; m < B; ++m) both += distance(k, m) / static_cast<double>(B * B);
        }
        all.push_back(distance(i, j) - row - column + both);
      }
    return all;
  };
  const auto a = centred(x), b = centred(z);
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return std::sqrt(ab / std::sqrt(aa * bb));
}

}  // namespace

TEST_CASE("distance correlation: small cases", "[nn]") {
  // Two samples differ in one way only.
  CHECK(distance_correlation(tensor<double>({2, 1}, {0, 3}),
                             tensor<double>({2, 2}, {1, 1, 5, 0})) == Approx(1));
  // Scaled, moved and turned: the same distances, up to a scale.
  Rng rng{.seed = 1};
  const auto x = drawn<double>({9, 2}, rng);
  auto turned = x;
  for (Index i = 0; i < 9; ++i) {
    turned[2 * i] = 7 - 3 * x[2 * i + 1];
    turned[2 * i + 1] = 3 * x[2 * i];
  }
  CHECK(distance_correlation(x, turned) == Approx(1));
  // Nothing can be said of what is always the same.
  CHECK(distance_correlation(x, Tensor<double>::full({9, 4}, 2.5)) == 0);
  CHECK(distance_correlation(tensor<double>({1, 2}, {1, 2}), tensor<double>({1, 1}, {3})) == 0);
  // By hand: sums of products 8/9 (both), 40/9 and 16/9.
  CHECK(distance_correlation(tensor<double>({3, 1}, {0, 1, 2}),
                             tensor<double>({3, 1}, {0, 1, 0})) == Approx(std::pow(10, -0.25)));
}

TEST_CASE("distance correlation: as its definition, for any threads", "[nn]") {
  Rng rng{.seed = 2};
  for (const Index B : {2, 3, 8, 21}) {
    const auto x = drawn<double>({B, 3, 4}, rng), z = drawn<double>({B, 5}, rng);
    CHECK(distance_correlation(x, z) == Approx(by_definition(x, z)).epsilon(1e-12));
    CHECK(distance_correlation(z, x) == Approx(distance_correlation(x, z)).epsilon(1e-12));
  }
  const auto x = drawn<float>({40, 300}, rng), z = drawn<float>({40, 200}, rng);
  const double once = with_threads(1, [&] { return distance_correlation(x, z); });
  for (const int threads : {2, 5})
    CHECK(with_threads(threads, [&] { return distance_correlation(x, z); }) == once);
}

TEST_CASE("distance correlation: independent samples have little, and less the more there are",
          "[nn]") {
  Rng rng{.seed = 3};
  const auto of = [&](Index B) {
    return distance_correlation(drawn<double>({B, 1}, rng), drawn<double>({B, 1}, rng));
  };
  CHECK(of(400) < 0.2);
}

TEST_CASE("distance correlation: its gradient agrees with finite differences", "[nn]") {
  Rng rng{.seed = 4};
  const auto x = drawn<double>({6, 4}, rng);
  const auto z = Variable<double>::parameter(drawn<double>({6, 2, 2}, rng));
  const auto through = with_distance_correlation(z, x, 1.5);
  CHECK(equal_bits(through.value(), z.value()));
  const auto given = drawn<double>(z.shape(), rng);
  backward(through, given);
  for (Index i = 0; i < z.value().size(); ++i) {
    const auto moved = [&](double by) {
      auto other = z.value();
      other[i] += by;
      return distance_correlation(x, other);
    };
    const double slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
    CHECK(z.gradient()[i] == Approx(given[i] + 1.5 * slope).epsilon(1e-6));
  }
}

TEST_CASE("distance correlation: equal samples get no gradient, other shapes are refused", "[nn]") {
  const auto z = Variable<float>::parameter(Tensor<float>::full({3, 2}, 1));
  Rng rng{.seed = 5};
  const auto x = drawn<float>({3, 4}, rng);
  backward(with_distance_correlation(z, x, 1.0), Tensor<float>::full({3, 2}, 2));
  for (const float value : z.gradient().span()) CHECK(value == 2);
  CHECK_THROWS_AS(distance_correlation(x, drawn<float>({4, 4}, rng)), ShapeError);
  CHECK_THROWS_AS(with_distance_correlation(z, drawn<float>({2, 4}, rng), 1.0), ShapeError);
}

}  // namespace splitvit::nn
