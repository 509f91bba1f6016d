// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>

#include <splitvit/core/parallel.hpp>
#include <splitvit/tensor/reduce.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit {

TEMPLATE_TEST_CASE("reduce: known values", "[tensor][reduce]", float, double) {
  using T = TestType;
  const auto x = test::tensor<T>({2, 3}, {1, -2, 3, 4, 0.5, -1});
  CHECK(sum_all(x.view()) == 5.5);
  CHECK(sum_of_squares(x.view()) == 31.25);
  CHECK(sum_all<T>(Tensor<T>{}.view()) == 0.0);
  CHECK(sum_of_squares<T>(Tensor<T>{{3, 0}}.view()) == 0.0);
  CHECK(sum_all<T>(Tensor<T>::full(Shape{}, T{7}).view()) == 7.0);
}

TEST_CASE("reduce: sums of float are taken in double", "[tensor][reduce]") {
  // In float, 2^24 + 1 is 2^24.
  auto x = Tensor<float>::full({101}, 1.0f);
  x[0] = 16777216.0f;
  CHECK(sum_all<float>(x.view()) == 16777316.0);
  const auto large = Tensor<float>::full({2}, 3e38f);
  CHECK(std::isfinite(sum_of_squares(large.view())));
}

TEST_CASE("reduce: the same bits for any number of threads", "[tensor][reduce]") {
  Rng rng{.seed = 2};
  const auto x = test::drawn<float>({100'003}, rng);
  double plain = 0;
  for (const float v : x.span()) plain += static_cast<double>(v);
  const double once = with_threads(1, [&] { return sum_all(x.view()); });
  CHECK(once == Approx(plain).epsilon(1e-12));
  for (const int threads : {2, 3, 8})
    CHECK(with_threads(threads, [&] { return sum_all(x.view()); }) == once);
}

TEMPLATE_TEST_CASE("reduce: all_finite finds NaN and infinity anywhere", "[tensor][reduce]", float,
                   double) {
  using T = TestType;
  using Limits = std::numeric_limits<T>;
  const auto finite = [](const Tensor<T>& x) { return all_finite(x.view()); };
  CHECK(finite(Tensor<T>{}));
  Tensor<T> x = Tensor<T>::full({7}, Limits::max());
  x[2] = Limits::denorm_min();
  CHECK(finite(x));
  for (const T bad : {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN()})
    for (const Index i : {0, 3, 6}) {
      Tensor<T> damaged = x;
      damaged[i] = bad;
      CHECK(!finite(damaged));
    }
}

}  // namespace splitvit
