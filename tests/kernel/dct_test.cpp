// SPDX-License-Identifier: MIT
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <vector>

#include <splitvit/core/random.hpp>
#include <splitvit/kernel/dct.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {
namespace {

using test::at;

/// The coefficients of all columns by the definition, in double.
template <class T>
std::vector<double> by_definition(const std::vector<T>& x, Index t, Index columns) {
  std::vector<double> out(x.size());
  for (Index u = 0; u < t; ++u)
    for (Index i = 0; i < t; ++i) {
      const double weight =
          std::sqrt((u == 0 ? 1.0 : 2.0) / static_cast<double>(t)) *
          std::cos(std::numbers::pi * static_cast<double>((2 * i + 1) * u % (4 * t)) /
                   static_cast<double>(2 * t));
      for (Index c = 0; c < columns; ++c)
        out[at(u * columns + c)] += weight * static_cast<double>(x[at(i * columns + c)]);
    }
  return out;
}

template <class T>
double energy(const std::vector<T>& x) {
  double sum = 0;
  for (const T v : x) sum += static_cast<double>(v) * static_cast<double>(v);
  return sum;
}

}  // namespace

TEMPLATE_TEST_CASE("Dct: definition, energy and inverse for every length", "[kernel]", float,
                   double) {
  using T = TestType;
  for (const Index t : {1, 2, 3, 4, 5, 6, 7, 9, 14, 18, 61, 64, 121, 196})
    for (const Index columns : {1, 17, 70}) {
      CAPTURE(t, columns);
      Rng rng{.seed = static_cast<std::uint64_t>(t)};
      const auto x = test::drawn_vector<T>(t * columns, rng);
      const Dct<T> plan{t};
      CHECK(plan.size() == t);
      std::vector<T> X(x.size());
      plan.forward(x.data(), X.data(), columns);
      CHECK(test::apart(X, by_definition(x, t, columns)) < 10 * test::unit<T>);
      CHECK(energy(X) == Approx(energy(x)).epsilon(100 * test::unit<T>));
      std::vector<T> in_place = X;
      plan.inverse(in_place.data(), in_place.data(), columns);
      CHECK(test::apart(in_place, x) < 10 * test::unit<T>);
    }
}

TEST_CASE("Dct: a constant is its mean, a cosine is one coefficient", "[kernel]") {
  constexpr Index t = 12;
  const Dct<double> plan{t};
  std::vector<double> x(at(t), 3.0), X(at(t));
  plan.forward(x.data(), X.data(), 1);
  CHECK(X[0] == Approx(3.0 * std::sqrt(12.0)));
  for (Index u = 1; u < t; ++u) CHECK(std::abs(X[at(u)]) < 1e-14);
  for (Index i = 0; i < t; ++i)
    x[at(i)] = std::cos(std::numbers::pi * static_cast<double>(2 * i + 1) * 5 / (2.0 * t));
  plan.forward(x.data(), X.data(), 1);
  for (Index u = 0; u < t; ++u)
    CHECK(X[at(u)] == Approx(u == 5 ? std::sqrt(t / 2.0) : 0.0).margin(1e-14));
}

TEST_CASE("Dct: refuses a length below 1", "[kernel]") {
  CHECK_THROWS_AS(Dct<float>{0}, std::invalid_argument);
}

}  // namespace splitvit::kernel
