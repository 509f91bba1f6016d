// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>
#include <vector>

#include <splitvit/nn/principal_axes.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::nn {
namespace {

using test::drawn;
using test::equal_bits;
using test::tensor;

template <class T>
PrincipalAxes axes_of(const Tensor<T>& tokens) {
  TokenMoments moments{tokens.shape().back()};
  moments.add(tokens);
  return principal_axes(moments);
}

}  // namespace

TEST_CASE("TokenMoments: mean and covariance, worked by hand", "[nn]") {
  TokenMoments moments{2};
  moments.add(tensor<float>({2, 2}, {1, 5, 3, 5}));
  moments.add(tensor<float>({1, 2, 2}, {5, 8, 7, 2}));
  CHECK(moments.count() == 4);
  CHECK(moments.mean() == std::vector<double>{4, 5});
  CHECK(equal_bits(moments.covariance(), tensor<double>({2, 2}, {5, -1.5, -1.5, 4.5})));
}

TEST_CASE("TokenMoments: batches add up, for any number of threads", "[nn]") {
  Rng rng{.seed = 2};
  const auto tokens = drawn<float>({3, 70, 37}, rng);
  const auto run = [&](int threads) {
    return with_threads(threads, [&] {
      TokenMoments moments{37};
      moments.add(tokens);
      return moments.covariance();
    });
  };
  const auto once = run(1);
  for (const int threads : {2, 3, 8}) CHECK(equal_bits(run(threads), once));
  TokenMoments parts{37};
  for (Index b = 0; b < 3; ++b) {
    const auto part = tokens.view().slice(b, b + 1);
    parts.add(Tensor<float>{part.shape(), part.span()});
  }
  CHECK(test::apart(parts.covariance(), once) < 1e-14);
}

TEST_CASE("TokenMoments: tokens far from zero keep their differences", "[nn]") {
  Rng rng{.seed = 3};
  auto tokens = drawn<double>({200, 4}, rng);
  const auto near = axes_of(tokens);
  for (double& value : tokens.span()) value += 1e9;
  const auto far = axes_of(tokens);
  CHECK(test::apart(far.variance, near.variance) < 1e-6);
}

TEST_CASE("principal_axes: finds the line that tokens lie on", "[nn]") {
  Rng rng{.seed = 4};
  const std::vector<double> axis{6.0 / 7, -3.0 / 7, 2.0 / 7};
  Tensor<double> tokens{{50, 3}};
  double sum = 0.0, squares = 0.0;
  for (Index i = 0; i < 50; ++i) {
    const double t = rng.normal();
    sum += t / 50.0;
    squares += t * t / 50.0;
    for (Index d = 0; d < 3; ++d)
      tokens[i * 3 + d] = static_cast<double>(d) + t * axis[test::at(d)];
  }
  const auto found = axes_of(tokens);
  CHECK(found.variance[0] == Approx(squares - sum * sum).epsilon(1e-12));
  CHECK(std::abs(found.variance[1]) < 1e-14);
  CHECK(test::apart(std::vector(found.axes.data(), found.axes.data() + 3), axis) < 1e-12);
}

TEST_CASE("principal_axes: one token, equal tokens, zeros", "[nn]") {
  for (const auto& tokens : {tensor<float>({1, 3}, {1, 2, 3}), Tensor<float>::full({5, 3}, 0.1f),
                             Tensor<float>{{4, 3}}}) {
    const auto found = axes_of(tokens);
    CHECK(found.variance == std::vector<double>{0, 0, 0});
    CHECK(equal_bits(found.axes, tensor<double>({3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1})));
    CHECK(found.mean[1] == Approx(static_cast<double>(tokens[1])));
  }
}

TEST_CASE("principal_axes: misuse", "[nn]") {
  TokenMoments moments{3};
  CHECK_THROWS_WITH(principal_axes(moments), ContainsSubstring("no token was added"));
  CHECK_THROWS_AS(moments.add(Tensor<float>{{2, 4}}), ShapeError);
  CHECK_THROWS_AS(moments.add(Tensor<float>{Shape{}}), ShapeError);
  CHECK_THROWS_AS(moments.add(Tensor<float>::full({2, 3}, std::numeric_limits<float>::infinity())),
                  std::invalid_argument);
  CHECK(moments.count() == 0);
  moments.add(tensor<double>({2, 3}, {1e200, 0, 0, -1e200, 0, 0}));
  CHECK_THROWS_WITH(principal_axes(moments), ContainsSubstring("too large"));
}

}  // namespace splitvit::nn
