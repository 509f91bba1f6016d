// SPDX-License-Identifier: MIT
#include <cmath>
#include <concepts>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <splitvit/kernel/simd.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {
namespace {

using test::at;
using test::drawn_vector;
using test::unit;

/// Counts up from 1, exactly.
template <class T>
std::vector<T> counted(Index n) {
  std::vector<T> out;
  for (Index i = 1; i <= n; ++i) out.push_back(static_cast<T>(i));
  return out;
}

/// f of each number, many times, through packs.
template <class T, class F>
std::vector<T> through_packs(const std::vector<T>& x, const F& f) {
  std::vector<T> y(x.size());
  transform<T>(static_cast<Index>(x.size()), y.data(), f, x.data());
  return y;
}

/// exp_of_nonpositive of each number.
template <class T>
std::vector<T> exponentials(const std::vector<T>& x) {
  return through_packs(x, [](const auto& v) { return exp_of_nonpositive<T>(v); });
}

}  // namespace

TEMPLATE_TEST_CASE("simd: loads and stores, whole and in part", "[kernel][simd]", float, double) {
  using T = TestType;
  constexpr Index L = lanes<T>;
  const auto x = counted<T>(L + 1);
  std::vector<T> y(at(L + 2), T{-1});
  store<T>(y.data() + 1, load<T>(x.data() + 1));  // at an address that is not aligned
  CHECK(y.front() == T{-1});
  CHECK(y.back() == T{-1});
  for (Index i = 0; i < L; ++i) CHECK(y[at(i + 1)] == x[at(i + 1)]);
  for (Index count = 0; count <= L; ++count) {
    std::vector<T> all(at(L)), part(at(L), T{-1});
    store<T>(all.data(), load_part<T>(x.data(), count, T{9}));
    store_part<T>(part.data(), load<T>(x.data()), count);
    for (Index i = 0; i < L; ++i) {
      CHECK(all[at(i)] == (i < count ? x[at(i)] : T{9}));
      CHECK(part[at(i)] == (i < count ? x[at(i)] : T{-1}));
    }
  }
}

TEMPLATE_TEST_CASE("simd: sum and largest of the lanes", "[kernel][simd]", float, double) {
  using T = TestType;
  constexpr Index L = lanes<T>;
  const auto x = counted<T>(L);
  CHECK(sum_lanes<T>(load<T>(x.data())) == static_cast<T>(L * (L + 1) / 2));
  CHECK(largest(x.data(), L) == static_cast<T>(L));
}

TEMPLATE_TEST_CASE("simd: functions agree with the standard library's", "[kernel][simd]", float,
                   double) {
  using T = TestType;
  std::vector<T> x;
  for (int i = -320; i <= 320; ++i) x.push_back(static_cast<T>(i) / T{4});
  const auto exps = through_packs(x, [](const auto& v) { return kernel::exp(v); });
  const auto erfs = through_packs(x, [](const auto& v) { return kernel::erf(v); });
  const auto roots = through_packs(x, [](const auto& v) { return kernel::sqrt(v * v); });
  const auto thirds =
      through_packs(x, [](const auto& v) { return quotient(v, std::decay_t<decltype(v)>(T{3})); });
  const auto fused = through_packs(x, [](const auto& v) { return multiply_add(v, v, v); });
  const auto most =
      through_packs(x, [](const auto& v) { return larger(v, std::decay_t<decltype(v)>(T{2})); });
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto v = static_cast<double>(x[i]);
    CHECK(std::abs(static_cast<double>(exps[i]) / std::exp(v) - 1) <= 4 * unit<T>);
    CHECK(std::abs(static_cast<double>(erfs[i]) - std::erf(v)) <= 64 * unit<T>);  // xsimd: 34
    CHECK(roots[i] == std::abs(x[i]));
    CHECK(thirds[i] == x[i] / T{3});
    CHECK(fused[i] == x[i] * x[i] + x[i]);  // exact for multiples of 1/4
    CHECK(most[i] == std::max(x[i], T{2}));
  }
}

TEMPLATE_TEST_CASE("simd: all ways to multiply and add give the same", "[kernel][simd]", float,
                   double) {
  using T = TestType;
  std::vector<T> a, b, c;
  for (Index i = 0; i < lanes<T>; ++i) {
    a.push_back(T{1} / static_cast<T>(3 + i));
    b.push_back(static_cast<T>(i) - T{2} / T{3});
    c.push_back(static_cast<T>(7 * i) / T{11});
  }
  const Pack<T> second = load<T>(b.data()), third = load<T>(c.data());
  for (const T& number : a) {
    std::vector<T> plain(a.size()), in_place(a.size()), from_memory(a.size());
    store<T>(plain.data(), multiply_add(Pack<T>(number), second, third));
    store<T>(in_place.data(), multiply_add_in_place<T>(Pack<T>(number), second, third));
    store<T>(from_memory.data(), multiply_add_at<T>(&number, second, third));
    CHECK(in_place == plain);
    CHECK(from_memory == plain);
  }
}

TEMPLATE_TEST_CASE("simd: exp of the smallest and the largest", "[kernel][simd]", float, double) {
  using T = TestType;
  const auto y = through_packs(std::vector<T>{T{-1e15f}, T{-1e4}, T{0}, T{1e15f}},
                               [](const auto& v) { return kernel::exp(v); });
  CHECK(y[0] == 0);
  CHECK(y[1] == 0);
  CHECK(y[2] == 1);
  CHECK(y[3] == std::numeric_limits<T>::infinity());
}

TEMPLATE_TEST_CASE("simd: transform handles any length and writes no further", "[kernel][simd]",
                   float, double) {
  using T = TestType;
  for (Index n = 0; n <= 3 * lanes<T> + 1; ++n) {
    const auto a = counted<T>(n);
    std::vector<T> b(at(n), T{10}), y(at(n + 1), T{-1});
    transform<T>(
        n, y.data(), [](const auto& u, const auto& v) { return u * v; }, a.data(), b.data());
    for (Index i = 0; i < n; ++i) CHECK(y[at(i)] == static_cast<T>(10 * (i + 1)));
    CHECK(y.back() == T{-1});
    transform<T>(
        n, b.data(), [](const auto& u, const auto& v) { return u + v; }, a.data(), b.data());
    for (Index i = 0; i < n; ++i) CHECK(b[at(i)] == static_cast<T>(11 + i));
  }
}

TEMPLATE_TEST_CASE("simd: accumulate and largest of any length", "[kernel][simd]", float, double) {
  using T = TestType;
  for (Index n = 0; n <= 3 * lanes<T> + 1; ++n) {
    const auto x = counted<T>(n);
    const T sum =
        accumulate<T>(n, [](const auto& u, const auto& v) { return u * v; }, x.data(), x.data());
    CHECK(sum == static_cast<T>(n * (n + 1) * (2 * n + 1) / 6));
    for (Index i = 0; i < n; ++i) {
      std::vector<T> low(at(n), T{-7});  // what fills the last pack must not win
      low[at(i)] = T{-5};
      CHECK(largest(low.data(), n) == T{-5});
    }
  }
}

TEST_CASE("simd: names its instruction set", "[kernel][simd]") {
  CHECK(std::string{instruction_set()} != "");
}

TEMPLATE_TEST_CASE("exponential: right to two units in the last place, or zero",
                   "[kernel][exponential]", float, double) {
  using T = TestType;
  std::vector<T> x;
  for (double v = -86.0; v <= 0.0; v += 0.0113) x.push_back(static_cast<T>(v));
  const std::vector<T> y = exponentials(x);
  const double allowed = 2 * static_cast<double>(std::numeric_limits<T>::epsilon());
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    worst = std::max(worst,
                     std::abs(static_cast<double>(y[i]) / std::exp(static_cast<double>(x[i])) - 1));
  CHECK(worst <= allowed);
}

TEMPLATE_TEST_CASE("exponential: one for zero, nothing far out, NaN for NaN",
                   "[kernel][exponential]", float, double) {
  using T = TestType;
  const T inf = std::numeric_limits<T>::infinity();
  const std::vector<T> y = exponentials<T>({T{0}, T(-1e4), -inf, std::numeric_limits<T>::lowest()});
  CHECK(y[0] == T{1});
  CHECK(y[1] == T{0});
  CHECK(y[2] == T{0});
  CHECK(y[3] == T{0});
  // In double xsimd 8.1 makes a whole number of NaN on its way, which sanitizers refuse.
  if constexpr (std::same_as<T, float>)
    CHECK(std::isnan(exponentials<T>({std::numeric_limits<T>::quiet_NaN()})[0]));
}

}  // namespace splitvit::kernel
