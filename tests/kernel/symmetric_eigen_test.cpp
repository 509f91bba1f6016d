// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include <splitvit/kernel/symmetric_eigen.hpp>
#include <splitvit/kernel/vector_ops.hpp>
#include <splitvit/tensor/tensor.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {
namespace {

struct Eigen {
  std::vector<double> values;
  Tensor<double> vectors;
};

Eigen eigen_of(const Tensor<double>& a) {
  Eigen found{std::vector<double>(test::at(a.dim(0))), Tensor<double>{a.shape()}};
  symmetric_eigen(a.data(), a.dim(0), found.values.data(), found.vectors.data());
  return found;
}

/// A symmetric matrix of rank at most `rank`.
Tensor<double> drawn_symmetric(Index n, Index rank, Rng& rng) {
  Tensor<double> a{{n, n}};
  for (Index r = 0; r < rank; ++r) {
    const auto v = test::drawn_vector<double>(n, rng);
    const double factor = rng.uniform(-1.0, 2.0);
    for (Index i = 0; i < n; ++i)
      add_scaled(a.data() + i * n, v.data(), factor * v[test::at(i)], n);
  }
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < i; ++j) a[i * n + j] = a[j * n + i];
  return a;
}

/// Orthonormal, descending, and a v = value v.
void check_laws(const Tensor<double>& a) {
  const Index n = a.dim(0);
  const auto found = eigen_of(a);
  double scale = 0.0;
  for (const double value : a.span()) scale = std::max(scale, std::abs(value));
  const double close = 1e-14 * static_cast<double>(n + 10);
  for (Index i = 0; i < n; ++i) {
    const double* const v = found.vectors.data() + i * n;
    const double value = found.values[test::at(i)];
    if (i > 0) REQUIRE(value <= found.values[test::at(i) - 1]);
    for (Index j = 0; j < n; ++j) {
      const double wanted = i == j ? 1.0 : 0.0;
      REQUIRE(std::abs(dot(v, found.vectors.data() + j * n, n) - wanted) < close);
      REQUIRE(std::abs(dot(a.data() + j * n, v, n) - value * v[j]) <=
              close * scale * std::sqrt(static_cast<double>(n)));
    }
  }
}

}  // namespace

TEST_CASE("symmetric_eigen: worked by hand", "[kernel]") {
  const auto found = eigen_of(test::tensor<double>({2, 2}, {2, 1, 1, 2}));
  CHECK(found.values[0] == Approx(3.0).epsilon(1e-15));
  CHECK(found.values[1] == Approx(1.0).epsilon(1e-15));
  const double half = std::sqrt(0.5);
  CHECK(found.vectors[0] == Approx(half).epsilon(1e-15));
  CHECK(found.vectors[1] == Approx(half).epsilon(1e-15));
  CHECK(std::abs(found.vectors[2] + found.vectors[3]) < 1e-15);
}

TEST_CASE("symmetric_eigen: a diagonal matrix is sorted, exactly", "[kernel]") {
  const auto found = eigen_of(test::tensor<double>({3, 3}, {1, 0, 0, 0, -4, 0, 0, 0, 9}));
  CHECK(found.values == std::vector<double>{9, 1, -4});
  CHECK(test::equal_bits(found.vectors, test::tensor<double>({3, 3}, {0, 0, 1, 1, 0, 0, 0, 1, 0})));
}

TEST_CASE("symmetric_eigen: laws hold for any size and rank", "[kernel]") {
  Rng rng{.seed = 2};
  for (const Index n : {1, 2, 3, 4, 7, 16, 33, 60})
    for (const Index rank : {Index{0}, Index{1}, n / 2, n}) {
      INFO("n " << n << " rank " << rank);
      check_laws(drawn_symmetric(n, rank, rng));
    }
}

TEST_CASE("symmetric_eigen: equal values, huge and tiny numbers", "[kernel]") {
  Rng rng{.seed = 3};
  check_laws(Tensor<double>{{5, 5}});
  check_laws(test::tensor<double>({3, 3}, {2, 2, 2, 2, 2, 2, 2, 2, 2}));
  check_laws(test::tensor<double>({4, 4}, {0, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0}));
  check_laws(test::tensor<double>({3, 3}, {1, 1e-9, 0, 1e-9, 1, 1e-9, 0, 1e-9, 1}));
  for (const double scale : {1e300, 1e-300}) {
    auto a = drawn_symmetric(12, 12, rng);
    for (double& value : a.span()) value *= scale;
    check_laws(a);
  }
  CHECK(eigen_of(Tensor<double>{{0, 0}}).values.empty());
}

TEST_CASE("symmetric_eigen: values of a matrix of known spectrum", "[kernel]") {
  // 2 on the diagonal and -1 beside it has the values 2 - 2 cos(k pi / (n + 1)).
  constexpr Index n = 40;
  Tensor<double> a{{n, n}};
  for (Index i = 0; i < n; ++i) {
    a[i * n + i] = 2.0;
    if (i > 0) a[i * n + i - 1] = a[i * n - n + i] = -1.0;
  }
  const auto found = eigen_of(a);
  for (Index k = 1; k <= n; ++k)
    CHECK(found.values[test::at(n - k)] ==
          Approx(2.0 - 2.0 * std::cos(static_cast<double>(k) * std::numbers::pi / (n + 1)))
              .epsilon(1e-12));
}

TEST_CASE("symmetric_eigen: of each vector the largest number is positive", "[kernel]") {
  Rng rng{.seed = 4};
  const auto found = eigen_of(drawn_symmetric(20, 20, rng));
  for (Index i = 0; i < 20; ++i) {
    const double* const v = found.vectors.data() + i * 20;
    CHECK(*std::max_element(v, v + 20) >= -*std::min_element(v, v + 20));
  }
}

}  // namespace splitvit::kernel
