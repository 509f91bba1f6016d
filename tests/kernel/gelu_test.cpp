// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include <splitvit/kernel/brain_pair.hpp>
#include <splitvit/kernel/gelu.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {
namespace {

double cumulative(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }
double density(double x) {
  return std::exp(-0.5 * x * x) * std::numbers::inv_sqrtpi / std::numbers::sqrt2;
}

}  // namespace

using test::apart;
using test::at;

TEMPLATE_TEST_CASE("gelu: equals the plain version, both directions", "[kernel][gelu]", float,
                   double) {
  using T = TestType;
  Rng rng{.seed = 13};
  for (const Index n : {0, 1, 2, 3, 5, 12, 13, 17, 31, 33, 65, 197, 1000}) {
    INFO("n " << n);
    auto x = test::drawn_vector<T>(n, rng);
    const auto dy = test::drawn_vector<T>(n, rng);
    std::vector<double> y, dx;
    for (Index i = 0; i < n; ++i) {
      x[at(i)] *= 3;
      const auto v = static_cast<double>(x[at(i)]);
      y.push_back(v * cumulative(v));
      dx.push_back(static_cast<double>(dy[at(i)]) * (cumulative(v) + v * density(v)));
    }
    std::vector<T> ours(at(n)), ours_dx(at(n));
    gelu_forward(x.data(), ours.data(), n);
    gelu_backward(x.data(), dy.data(), ours_dx.data(), n);
    CHECK(apart(ours, y) <= 64 * test::unit<T>);
    CHECK(apart(ours_dx, dx) <= 64 * test::unit<T>);
  }
}

TEST_CASE("gelu: for products of pairs, errors within their bounds for any number",
          "[kernel][gelu]") {
  using Limits = std::numeric_limits<float>;
  std::vector<float> x{Limits::denorm_min(),
                       -Limits::denorm_min(),
                       Limits::min(),
                       -Limits::min(),
                       1e38f,
                       -1e38f,
                       Limits::max(),
                       Limits::lowest(),
                       Limits::infinity(),
                       0.0f};
  for (int i = -60'000; i <= 60'000; ++i) x.push_back(static_cast<float>(i) / 5'000);
  const std::vector<float> dy(x.size(), 1.0f);
  std::vector<float> y(x.size()), value(x.size()), slope(x.size());
  const auto n = static_cast<Index>(x.size());
  gelu_values<float, BrainPair>(x.data(), y.data(), n);
  gelu_values_and_gradient<float, BrainPair>(x.data(), dy.data(), value.data(), slope.data(), n);
  CHECK(test::equal_bits(y, value));
  int wrong = 0;
  double largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isinf(x[i])) continue;
    const auto v = static_cast<double>(x[i]);
    const double exact = v * cumulative(v), d = cumulative(v) + v * density(v);
    const double off = std::abs(static_cast<double>(value[i]) - exact);
    largest = std::max(largest, off / (1 + std::abs(v)));
    wrong += off > 0x1p-14 + 2 * test::unit<float> * std::abs(exact);
    wrong += v > -1 && off > 0x1p-12 * std::abs(exact) + 1e-44;  // a denormal may be zero
    wrong += std::abs(static_cast<double>(slope[i]) - d) > 0x1p-13;
  }
  CHECK(wrong == 0);
  CHECK(largest > 0x1p-20);  // it is not the exact one
  const std::vector<float> ends{Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN()};
  std::vector<float> at_ends(3), slopes(3);
  gelu_values_and_gradient<float, BrainPair>(ends.data(), dy.data(), at_ends.data(), slopes.data(),
                                             3);
  CHECK(at_ends[0] == Limits::infinity());
  CHECK(slopes[0] == Approx(1));
  CHECK(std::abs(at_ends[1]) < 1e-6f);
  CHECK(std::abs(slopes[1]) < 1e-6f);
  CHECK((std::isnan(at_ends[2]) && std::isnan(slopes[2])));
}

TEMPLATE_TEST_CASE("gelu: far from zero it is x or nothing", "[kernel][gelu]", float, double) {
  using T = TestType;
  const std::vector<T> x{T{-1e4}, T{-60}, T{0}, T{60}, T{1e4}}, dy(5, T{1});
  std::vector<T> y(5), dx(5);
  gelu_forward(x.data(), y.data(), 5);
  gelu_backward(x.data(), dy.data(), dx.data(), 5);
  CHECK(y == std::vector<T>{T{0}, T{0}, T{0}, T{60}, T{1e4}});
  CHECK(dx == std::vector<T>{T{0}, T{0}, T{0.5}, T{1}, T{1}});
}

TEMPLATE_TEST_CASE("gelu: the same bits for any number of threads", "[kernel][gelu]", float,
                   double) {
  using T = TestType;
  Rng rng{.seed = 14};
  const Index n = 3 * gelu_grain + 7;
  const auto x = test::drawn_vector<T>(n, rng), dy = test::drawn_vector<T>(n, rng);
  const auto run = [&](int threads) {
    std::vector<T> y(at(n)), dx(at(n));
    with_threads(threads, [&] {
      gelu_forward(x.data(), y.data(), n);
      gelu_backward(x.data(), dy.data(), dx.data(), n);
    });
    y.insert(y.end(), dx.begin(), dx.end());
    return y;
  };
  const auto once = run(1);
  for (const int threads : {2, 3, 8}) CHECK(test::equal_bits(run(threads), once));
}

}  // namespace splitvit::kernel
