// SPDX-License-Identifier: MIT

#include <cmath>
#include <vector>

#include <splitvit/core/random.hpp>
#include <splitvit/kernel/adam.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {
namespace {

constexpr AdamStep options{.beta1 = 0.9,
                           .beta2 = 0.999,
                           .epsilon = 1e-8,
                           .l2 = 0.125,
                           .shrink = 0.75,
                           .length = 0.01,
                           .root_divisor = 0.3};

/// p, g, m and v of n numbers.
template <class T>
struct State {
  std::vector<T> p, g, m, v;

  State(Index n, Rng& rng) {
    for (Index i = 0; i < n; ++i) {
      p.push_back(static_cast<T>(rng.normal()));
      g.push_back(static_cast<T>(rng.normal()));
      m.push_back(static_cast<T>(rng.normal()));
      v.push_back(static_cast<T>(rng.uniform()));
    }
  }
  void update() { adam_update<T>(p, g, m, v, options); }
};

}  // namespace

TEMPLATE_TEST_CASE("adam: equals the plain version", "[kernel]", float, double) {
  using T = TestType;
  Rng rng{.seed = 1};
  for (const Index n : {0, 1, 7, 1023, 1024, 1025, 20000}) {
    State<T> fast{n, rng};
    State<T> plain = fast;
    fast.update();
    double worst = 0.0;
    for (std::size_t i = 0; i < plain.p.size(); ++i) {
      const double p = static_cast<double>(plain.p[i]);
      const double g = static_cast<double>(plain.g[i]) + options.l2 * p;
      const double m = options.beta1 * static_cast<double>(plain.m[i]) + (1 - options.beta1) * g;
      const double v =
          options.beta2 * static_cast<double>(plain.v[i]) + (1 - options.beta2) * g * g;
      const double moved =
          options.shrink * p -
          options.length * m / (std::sqrt(v) / options.root_divisor + options.epsilon);
      for (const double off :
           {moved - static_cast<double>(fast.p[i]), m - static_cast<double>(fast.m[i]),
            v - static_cast<double>(fast.v[i])})
        worst = std::max(worst, std::abs(off));
    }
    CHECK(worst < (sizeof(T) == 4 ? 1e-5 : 1e-13));
    CHECK(test::equal_bits(fast.g, plain.g));
  }
}

TEST_CASE("adam: the same bits for any number of threads", "[kernel]") {
  Rng rng{.seed = 2};
  const State<float> start{100001, rng};
  const auto run = [&](int threads) {
    State<float> state = start;
    with_threads(threads, [&] { state.update(); });
    return state;
  };
  const auto once = run(1);
  for (const int threads : {2, 3, 8}) {
    const auto again = run(threads);
    CHECK(test::equal_bits(again.p, once.p));
    CHECK(test::equal_bits(again.m, once.m));
    CHECK(test::equal_bits(again.v, once.v));
  }
}

}  // namespace splitvit::kernel
