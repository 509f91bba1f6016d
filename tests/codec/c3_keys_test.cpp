// SPDX-License-Identifier: MIT
#include <cmath>
#include <vector>

#include <splitvit/codec/c3_keys.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::codec {
namespace {

/// V by its definition, in double.
template <class T>
Tensor<double> superposed(const Tensor<T>& z, const Tensor<double>& keys) {
  const Index B = z.dim(0), n = z.dim(1), R = keys.dim(0);
  Tensor<double> V{{(B + R - 1) / R, n}};
  for (Index b = 0; b < B; ++b)
    for (Index m = 0; m < n; ++m)
      for (Index t = 0; t < n; ++t)
        V[b / R * n + t] += static_cast<double>(z[b * n + m]) * keys[b % R * n + (t - m + n) % n];
  return V;
}

/// z' by its definition, in double.
template <class T>
Tensor<double> separated(const Tensor<T>& V, const Tensor<double>& keys, Index B) {
  const Index n = V.dim(1), R = keys.dim(0);
  Tensor<double> z{{B, n}};
  for (Index b = 0; b < B; ++b)
    for (Index t = 0; t < n; ++t)
      for (Index m = 0; m < n; ++m)
        z[b * n + t] += static_cast<double>(V[b / R * n + m]) * keys[b % R * n + (m - t + n) % n];
  return z;
}

double dot(const Tensor<double>& a, const Tensor<double>& b) {
  REQUIRE(a.size() == b.size());
  double sum = 0;
  for (Index i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

TEST_CASE("C3 keys: unit length, nearly normal, from seed and n alone", "[codec]") {
  const auto keys = draw_c3_keys(3, 5000, 7);
  for (Index r = 0; r < 3; ++r) {
    double sum = 0, square = 0, fourth = 0;
    for (Index i = 0; i < 5000; ++i) {
      const double v = keys[r * 5000 + i] * std::sqrt(5000.0);
      sum += v;
      square += v * v;
      fourth += v * v * v * v;
    }
    CHECK(square / 5000 == Approx(1.0).epsilon(1e-12));
    CHECK(std::abs(sum / 5000) < 0.06);                 // four deviations
    CHECK(fourth / 5000 == Approx(2.9).epsilon(0.08));  // twelve draws: 3 - 1.2 / 12
  }
  CHECK(test::equal_bits(draw_c3_keys(3, 5000, 7), keys));
  const auto fewer = draw_c3_keys(2, 5000, 7);
  CHECK(std::ranges::equal(fewer.span(), keys.span().first(10000)));
  CHECK(test::apart(draw_c3_keys(3, 5000, 8), keys) > 1e-3);
  CHECK(keys[0] != keys[5000]);
  CHECK(draw_c3_keys(1, 4999, 7)[0] != keys[0]);
  // Frozen: what has been drawn for a run must never change.
  const auto known = draw_c3_keys(1, 3, 1);
  CHECK(known[0] == Approx(-0.8363677327).epsilon(1e-9));
  CHECK(known[1] == Approx(-0.5040477061).epsilon(1e-9));
  CHECK(known[2] == Approx(-0.215464442).epsilon(1e-9));
}

TEMPLATE_TEST_CASE("C3Keys: agree with the direct sums", "[codec]", float, double) {
  using T = TestType;
  struct Case {
    Index B, n, R;
  };
  for (const auto& [B, n, R] : {Case{8, 17 * 12, 4}, Case{7, 62 * 6, 3}, Case{40, 33, 2},
                                Case{1, 50, 4}, Case{5, 1, 2}, Case{66, 30, 3}, Case{130, 7, 64}}) {
    CAPTURE(B, n, R);
    Rng rng{.seed = 4};
    const auto z = test::drawn<T>({B, n}, rng);
    const auto drawn = draw_c3_keys(R, n, 1);
    const C3Keys<T> keys{drawn.view()};
    CHECK(keys.ratio() == R);
    CHECK(keys.size() == n);
    const auto V = keys.superpose(z.view());
    CHECK(test::apart(V, superposed(z, drawn)) < 20 * test::unit<T>);
    CHECK(test::apart(keys.separate(V.view(), B), separated(V, drawn, B)) < 20 * test::unit<T>);
  }
}

TEST_CASE("C3Keys: full size in float agrees with the direct sum", "[codec]") {
  constexpr Index n = 197 * 192;
  Rng rng{.seed = 6};
  const auto z = test::drawn<float>({3, n}, rng);
  const auto drawn = draw_c3_keys(2, n, 0);
  const auto V = C3Keys<float>{drawn.view()}.superpose(z.view());
  double worst = 0;
  for (Index t = 0; t < n; t += 997) {
    double sum = 0;
    for (Index m = 0; m < n; ++m)
      sum += static_cast<double>(z[m]) * drawn[(t - m + n) % n] +
             static_cast<double>(z[n + m]) * drawn[n + (t - m + n) % n];
    worst = std::max(worst, std::abs(sum - static_cast<double>(V[t])));
  }
  CHECK(worst < 4e-6);  // the numbers are about 1.4
}

TEST_CASE("C3Keys: superpose and separate are adjoint", "[codec]") {
  for (const bool unitary : {false, true})
    for (const Index B : {4, 5, 11}) {
      CAPTURE(unitary, B);
      Rng rng{.seed = 9};
      const auto drawn = draw_c3_keys(4, 60, 2);
      const C3Keys<double> keys{drawn.view(), unitary};
      const auto z = test::drawn<double>({B, 60}, rng);
      const auto V = test::drawn<double>({(B + 3) / 4, 60}, rng);
      CHECK(dot(keys.superpose(z.view()), V) ==
            Approx(dot(z, keys.separate(V.view(), B))).epsilon(1e-12));
    }
}

TEST_CASE("C3Keys: a unitary key alone gives the sample back", "[codec]") {
  Rng rng{.seed = 3};
  const auto z = test::drawn<double>({5, 77}, rng);
  const auto drawn = draw_c3_keys(1, 77, 5);
  const C3Keys<double> keys{drawn.view(), true};
  CHECK(test::apart(keys.separate(keys.superpose(z.view()).view(), 5), z) < 1e-13);
  const C3Keys<double> zero{Tensor<double>{{1, 77}}.view(), true};  // phase 0: the unit impulse
  CHECK(test::apart(zero.superpose(z.view()), z) < 1e-13);
}

TEST_CASE("C3Keys: refuse other shapes", "[codec]") {
  const auto drawn = draw_c3_keys(2, 6, 0);
  const C3Keys<float> keys{drawn.view()};
  const Tensor<float> wrong{{2, 5}}, flat{{6}}, right{{2, 6}};
  CHECK_THROWS_AS(keys.superpose(wrong.view()), ShapeError);
  CHECK_THROWS_AS(keys.superpose(flat.view()), ShapeError);
  CHECK_THROWS_AS(keys.separate(wrong.view(), 2), ShapeError);
  CHECK_THROWS_AS(keys.separate(right.view(), 2), ShapeError);
  CHECK_THROWS_AS(keys.separate(right.view(), -1), ShapeError);
  CHECK(keys.separate(right.view(), 3).shape() == Shape{3, 6});
  CHECK_THROWS_AS(C3Keys<float>{Tensor<double>{{6}}.view()}, ShapeError);
  CHECK_THROWS_AS((C3Keys<float>{Tensor<double>{{0, 6}}.view()}), ShapeError);
}

TEST_CASE("C3KeyCache: keeps what was used last, and copies share it", "[codec]") {
  C3KeyCache cache;
  const auto* const first = &cache.get<float>(2, 12, 0, false);
  CHECK(&cache.get<float>(2, 12, 0, false) == first);
  CHECK(&cache.get<float>(2, 12, 1, false) != first);
  CHECK(&cache.get<float>(2, 12, 0, true) != first);
  CHECK(&cache.get<float>(3, 12, 0, false) != first);
  CHECK(cache.get<float>(2, 13, 0, false).size() == 13);  // the fifth is not kept
  C3KeyCache copy = cache;
  const auto* const kept = &cache.get<float>(2, 13, 0, false);
  CHECK(&copy.get<float>(2, 13, 0, false) == kept);
  CHECK(cache.get<double>(2, 13, 0, false).ratio() == 2);
}

}  // namespace splitvit::codec
