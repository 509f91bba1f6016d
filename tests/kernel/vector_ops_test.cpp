// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>
#include <vector>

#include <splitvit/kernel/vector_ops.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {

using test::apart;
using test::at;
using test::unit;

TEMPLATE_TEST_CASE("numbers: agree with plain loops, for whole packs and the rest", "[kernel]",
                   float, double) {
  using T = TestType;
  Rng rng{.seed = 4};
  for (const Index n : {0, 1, 7, 16, 33, 64, 101}) {
    CAPTURE(n);
    const auto a = test::drawn<T>({n}, rng), b = test::drawn<T>({n}, rng);
    double product = 0;
    for (Index i = 0; i < n; ++i) product += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    CHECK(static_cast<double>(dot(a.data(), b.data(), n)) == Approx(product).margin(1e-4));

    Tensor<T> scaled{{n}}, sum{{n}, a.span()}, weighted{{n}, a.span()};
    scale_numbers(a.data(), T{3}, scaled.data(), n);
    add_numbers(sum.data(), b.data(), n);
    add_scaled(weighted.data(), b.data(), T{0.5}, n);
    for (Index i = 0; i < n; ++i) {
      CHECK(scaled[i] == a[i] * T{3});
      CHECK(sum[i] == a[i] + b[i]);
      CHECK(static_cast<double>(weighted[i]) ==
            Approx(static_cast<double>(a[i] + b[i] / T{2})).margin(1e-6));
    }
  }
}

TEMPLATE_TEST_CASE("numbers: rows are added in order, to the bits of one after the other",
                   "[kernel]", float, double) {
  using T = TestType;
  Rng rng{.seed = 5};
  for (const Index rows : {0, 1, 3, 4, 9})
    for (const Index cols : {0, 1, 16, 37}) {
      const Index stride = cols + 2;
      const auto x = test::drawn_vector<T>(rows * stride, rng);
      auto sum = test::drawn_vector<T>(cols, rng), wanted = sum;
      add_rows(sum.data(), x.data(), rows, cols, stride);
      for (Index i = 0; i < rows; ++i) add_numbers(wanted.data(), x.data() + i * stride, cols);
      CHECK(test::equal_bits(sum, wanted));
    }
}

TEMPLATE_TEST_CASE("softmax: equals the plain version, both directions", "[kernel][softmax]", float,
                   double) {
  using T = TestType;
  Rng rng{.seed = 12};
  for (const Index n : {1, 2, 3, 5, 12, 13, 17, 31, 33, 65, 197, 1000}) {
    INFO("n " << n);
    const auto x = test::drawn_vector<T>(n, rng), dy = test::drawn_vector<T>(n, rng);
    std::vector<double> y(at(n)), dx(at(n));
    double sum = 0, dot = 0;
    for (Index i = 0; i < n; ++i) sum += std::exp(static_cast<double>(x[at(i)]));
    for (Index i = 0; i < n; ++i) {
      y[at(i)] = std::exp(static_cast<double>(x[at(i)])) / sum;
      dot += y[at(i)] * static_cast<double>(dy[at(i)]);
    }
    for (Index i = 0; i < n; ++i) dx[at(i)] = y[at(i)] * (static_cast<double>(dy[at(i)]) - dot);

    std::vector<T> ours(at(n)), in_place = x, ours_dx(at(n));
    const T log_sum = softmax_row(x.data(), ours.data(), n);
    CHECK(std::abs(static_cast<double>(log_sum) - std::log(sum)) <= 16 * unit<T>);
    CHECK(apart(ours, y) <= 8 * unit<T>);
    softmax_row(in_place.data(), in_place.data(), n);
    CHECK(test::equal_bits(in_place, ours));
    softmax_row_backward(ours.data(), dy.data(), ours_dx.data(), n);
    CHECK(apart(ours_dx, dx) <= 16 * unit<T>);
  }
}

TEMPLATE_TEST_CASE("softmax: large, far apart and equal numbers", "[kernel][softmax]", float,
                   double) {
  using T = TestType;
  std::vector<T> y(19);
  for (const T level : {T{0}, T{-1e15f}, T{1e15f}, T{3}}) {
    const std::vector<T> equal(19, level);
    softmax_row(equal.data(), y.data(), 19);
    for (const T v : y) CHECK(v == T{1} / T{19});
  }
  std::vector<T> peak(19, T{-1e15f});
  peak[17] = T{1e15f};
  CHECK(softmax_row(peak.data(), y.data(), 19) == peak[17]);
  for (std::size_t i = 0; i < 19; ++i) CHECK(y[i] == (i == 17 ? T{1} : T{0}));
}

TEMPLATE_TEST_CASE("power_of_two_scale: what huge numbers are divided by", "[kernel]", float,
                   double) {
  using T = TestType;
  constexpr int exponent = 50;
  constexpr T most = std::numeric_limits<T>::max();
  const T limit = std::ldexp(T{1}, exponent);
  for (const std::size_t count : {1u, 7u, 100'000u}) {
    std::vector<T> values(count);
    for (const T value : {T{0}, T{-3}, limit, -limit}) {
      values.back() = value;
      CHECK(power_of_two_scale<T>(values, exponent) == 1);
    }
    for (const T value : {2 * limit, -2 * limit, most, -most}) {
      values.back() = value;
      const T unit = power_of_two_scale<T>(values, exponent);
      CHECK(std::abs(value) / unit <= limit);
      int power = 0;
      CHECK(std::frexp(unit, &power) == T{0.5});
      CHECK(power_of_two_scale<T>(values, std::numeric_limits<T>::max_exponent) ==
            1);  // nothing to divide by
    }
  }
  CHECK(power_of_two_scale<T>({}, exponent) == 1);
}

}  // namespace splitvit::kernel
