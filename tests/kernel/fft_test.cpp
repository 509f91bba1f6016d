// SPDX-License-Identifier: MIT
#include <cmath>
#include <complex>
#include <numbers>
#include <stdexcept>
#include <vector>

#include <splitvit/core/random.hpp>
#include <splitvit/kernel/fft.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {
namespace {

using test::at;

/// Drawn numbers for all lanes of a transform of n points.
template <class T>
std::vector<T> drawn_points(Index n) {
  Rng rng{.seed = static_cast<std::uint64_t>(n)};
  return test::drawn_vector<T>(n * 2 * fft_lanes<T>, rng);
}

template <class T>
std::complex<double> point(const std::vector<T>& x, Index t, Index lane) {
  const T* const from = x.data() + 2 * t * fft_lanes<T> + lane;
  return {static_cast<double>(from[0]), static_cast<double>(from[fft_lanes<T>])};
}

/// X[k] of one lane by the definition; summed in more digits than a double has, where there are
/// any.
template <class T>
std::complex<double> by_definition(const std::vector<T>& x, Index n, Index k, Index lane) {
  long double re = 0, im = 0;
  for (Index t = 0; t < n; ++t) {
    const UnitRoot root = unit_root(k * t, n);
    const std::complex<double> z = point(x, t, lane);
    const long double a = z.real(), b = z.imag(), c = root.cosine, s = -root.sine;
    re += a * c - b * s;
    im += a * s + b * c;
  }
  return {static_cast<double>(re), static_cast<double>(im)};
}

}  // namespace

TEMPLATE_TEST_CASE("Fft: agrees with the definition for every length", "[kernel]", float, double) {
  using T = TestType;
  std::vector<Index> lengths{97, 128, 192, 196, 210, 343, 13 * 17, 5 * 192, 197 * 4};
  for (Index n = 1; n <= 36; ++n) lengths.push_back(n);
  for (const Index n : lengths) {
    CAPTURE(n);
    const Fft<T> plan{n};
    const auto x = drawn_points<T>(n);
    auto spectrum = x;
    plan.forward(spectrum.data());
    double worst = 0;
    for (Index k = 0; k < n; k += 1 + n / 40)
      for (const Index lane : {Index{0}, fft_lanes<T> - 1})
        worst = std::max(worst, std::abs(point(spectrum, plan.position(k), lane) -
                                         by_definition(x, n, k, lane)));
    const double size = std::sqrt(static_cast<double>(n));  // of a drawn number's spectrum
    CHECK(worst < 20 * test::unit<T> * size);
  }
}

TEMPLATE_TEST_CASE("Fft: inverse of forward is n times the numbers", "[kernel]", float, double) {
  using T = TestType;
  for (const Index n : {1, 2, 3, 4, 8, 45, 196, 65 * 192, 197 * 192}) {
    CAPTURE(n);
    const Fft<T> plan{n};
    CHECK(plan.size() == n);
    const auto x = drawn_points<T>(n);
    auto back = x;
    plan.forward(back.data());
    plan.inverse(back.data());
    for (T& value : back) value /= static_cast<T>(n);
    CHECK(test::apart(back, x) < 8 * test::unit<T>);
  }
}

TEST_CASE("Fft: every frequency has a place of its own", "[kernel]") {
  for (const Index n : {1, 6, 60, 197, 420}) {
    const Fft<float> plan{n};
    std::vector<int> seen(at(n));
    for (Index k = 0; k < n; ++k) ++seen[at(plan.position(k))];
    CHECK(seen == std::vector<int>(at(n), 1));
  }
}

TEST_CASE("Fft: lanes do not touch each other", "[kernel]") {
  constexpr Index n = 45, W = fft_lanes<float>;
  const Fft<float> plan{n};
  auto together = drawn_points<float>(n);
  std::vector<float> alone(together.size());
  for (Index i = 0; i < 2 * n; ++i) alone[at(i * W + 3)] = together[at(i * W + 3)];
  plan.forward(together.data());
  plan.forward(alone.data());
  for (Index i = 0; i < 2 * n; ++i) {
    CHECK(alone[at(i * W + 3)] == together[at(i * W + 3)]);
    CHECK(alone[at(i * W + 4)] == 0.0f);
  }
}

TEST_CASE("Fft: refuses a length below 1", "[kernel]") {
  CHECK_THROWS_AS(Fft<float>{0}, std::invalid_argument);
  CHECK_THROWS_AS(Fft<double>{-3}, std::invalid_argument);
}

TEST_CASE("unit_root: quarters and eighths of a turn", "[kernel]") {
  for (const Index n : {4, 12, 37824}) {
    CHECK(unit_root(0, n).cosine == 1.0);
    CHECK(unit_root(0, n).sine == 0.0);
    CHECK(unit_root(n / 4, n).cosine == 0.0);
    CHECK(unit_root(n / 4, n).sine == 1.0);
    CHECK(unit_root(n / 2, n).cosine == -1.0);
    CHECK(unit_root(n / 2, n).sine == 0.0);
    CHECK(unit_root(3 * n / 4, n).cosine == 0.0);
    CHECK(unit_root(3 * n / 4, n).sine == -1.0);
  }
  CHECK(unit_root(1, 8).cosine == Approx(std::sqrt(0.5)).epsilon(1e-15));
  CHECK(unit_root(1, 8).sine == Approx(std::sqrt(0.5)).epsilon(1e-15));
}

TEST_CASE("unit_root: agrees with the system's functions", "[kernel]") {
  for (const Index n : {1, 3, 7, 8, 97, 192, 37824})
    for (Index k = 0; k < 3 * n; k += 1 + n / 500) {
      const double turn =
          2 * std::numbers::pi * static_cast<double>(k % n) / static_cast<double>(n);
      const UnitRoot root = unit_root(k, n);
      CHECK(std::abs(root.cosine - std::cos(turn)) < 1e-15);
      CHECK(std::abs(root.sine - std::sin(turn)) < 1e-15);
    }
}

}  // namespace splitvit::kernel
