// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>

#include <splitvit/autograd/gradcheck.hpp>
#include <splitvit/autograd/ops/arithmetic.hpp>
#include <splitvit/autograd/ops/sum.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit {
namespace {

/// The sum of the squares, with a gradient that is wrong in one element.
Variable<double> wrong_square(const Variable<double>& x, Index where, double by) {
  Tensor<double> y = Tensor<double>::full({1}, sum_of_squares(x.value().view()));
  return record(std::move(y), {x}, [=](const Tensor<double>&, const Tensor<double>& dy) {
    Tensor<double> dx = scale(x.value(), 2 * dy[0]);
    dx[where] += by;
    x.add_gradient(std::move(dx));
  });
}

}  // namespace

TEST_CASE("gradcheck: agrees with a right gradient", "[autograd][gradcheck]") {
  Rng rng{.seed = 3};
  const auto x = test::drawn<double>({3, 4}, rng);
  const auto result = gradcheck([](const auto& v) { return sum(square(v)); }, x);
  CHECK(result);
  CHECK(result.worst <= 1e-7);
}

TEST_CASE("gradcheck: names the element with the wrong gradient", "[autograd][gradcheck]") {
  const auto x = test::tensor<double>({3}, {0.5, -1, 0.25});
  const auto result = gradcheck([](const auto& v) { return wrong_square(v, 2, 0.01); }, x);
  CHECK(!result);
  CHECK(result.where == 2);
  CHECK(result.slope == Approx(0.5));
  CHECK(result.gradient == Approx(0.51));
  CHECK(result.worst == Approx(0.01 / 2));  // relative to the largest slope
  CHECK(gradcheck([](const auto& v) { return wrong_square(v, 2, 0.01); }, x, {.tolerance = 0.1}));
  CHECK(gradcheck([](const auto& v) { return wrong_square(v, 0, 1e-10); }, x));
}

TEST_CASE("gradcheck: a gradient that never arrives counts as zero", "[autograd][gradcheck]") {
  const auto lost = [](const Variable<double>& v) {
    return record(Tensor<double>::full({1}, 3 * v.value()[0]), {v},
                  [](const Tensor<double>&, const Tensor<double>&) {});
  };
  const auto result = gradcheck(lost, test::tensor<double>({1}, {2}));
  CHECK(!result);
  CHECK(result.slope == Approx(3));
  CHECK(result.gradient == 0.0);
}

TEST_CASE("gradcheck: NaN and infinity never agree", "[autograd][gradcheck]") {
  const auto x = test::tensor<double>({2}, {1, 2});
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
    for (const Index where : {0, 1})
      CHECK(!gradcheck([=](const auto& v) { return wrong_square(v, where, bad); }, x));
}

TEST_CASE("gradcheck: a result of one element", "[autograd][gradcheck]") {
  CHECK_THROWS_AS(gradcheck([](const auto& v) { return square(v); }, Tensor<double>{{2}}),
                  ShapeError);
}

}  // namespace splitvit
