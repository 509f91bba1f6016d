// SPDX-License-Identifier: MIT
#include <cmath>
#include <vector>

#include <splitvit/kernel/softmax.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {

using test::apart;
using test::at;
using test::unit;

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

}  // namespace splitvit::kernel
