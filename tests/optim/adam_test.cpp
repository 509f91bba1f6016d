// SPDX-License-Identifier: MIT

#include <cmath>
#include <vector>

#include <splitvit/core/random.hpp>
#include <splitvit/optim/adam.hpp>

#include "support/catch.hpp"

namespace splitvit::optim {
namespace {

/// The textbook, in double precision, one number at a time.
struct Plain {
  double p = 0.0, m = 0.0, v = 0.0;

  void step(int t, double g, double lr, double beta1, double beta2, double eps, double l2,
            double decay) {
    p -= lr * decay * p;
    g += l2 * p;
    m = beta1 * m + (1.0 - beta1) * g;
    v = beta2 * v + (1.0 - beta2) * g * g;
    const double mean = m / (1.0 - std::pow(beta1, t)), square = v / (1.0 - std::pow(beta2, t));
    p -= lr * mean / (std::sqrt(square) + eps);
  }
};

template <class T, class Rule>
void compare(const Rule& rule, double l2, double decay, double tolerance) {
  Rng rng{.seed = 1};
  const std::size_t n = 2500;  // more than a block, and not a multiple of one
  std::vector<T> p(n), g(n), m(n), v(n);
  std::vector<Plain> plain(n);
  for (std::size_t i = 0; i < n; ++i) {
    p[i] = static_cast<T>(rng.normal());
    plain[i].p = static_cast<double>(p[i]);
  }
  const std::array<std::span<T>, 2> state{m, v};
  for (int t = 1; t <= 5; ++t) {
    for (std::size_t i = 0; i < n; ++i) {
      g[i] = static_cast<T>(rng.normal());
      plain[i].step(t, static_cast<double>(g[i]), rule.lr, rule.beta1, rule.beta2, rule.eps, l2,
                    decay);
    }
    rule.template update<T>(static_cast<std::uint64_t>(t), rule.lr, p, g, state);
  }
  double worst = 0.0;
  for (std::size_t i = 0; i < n; ++i)
    worst = std::max(worst, std::abs(static_cast<double>(p[i]) - plain[i].p));
  CHECK(worst < tolerance);
}

}  // namespace

TEST_CASE("Adam: agrees with the textbook", "[optim]") {
  compare<double>(Adam{.lr = 0.01}, 0.0, 0.0, 1e-14);
  compare<double>(Adam{.lr = 0.01, .weight_decay = 0.1}, 0.1, 0.0, 1e-14);
  compare<float>(Adam{.lr = 0.01}, 0.0, 0.0, 2e-6);
}

TEST_CASE("AdamW: agrees with the textbook", "[optim]") {
  compare<double>(AdamW{.lr = 0.01, .weight_decay = 0.1}, 0.0, 0.1, 1e-14);
  compare<float>(AdamW{.lr = 0.01, .weight_decay = 0.1}, 0.0, 0.1, 2e-6);
}

TEST_CASE("Adam: the first step is lr, whatever the size of the gradient", "[optim]") {
  std::vector<double> p(3), m(3), v(3);
  const std::vector<double> g{1e-3, -5.0, 1e6};
  const std::array<std::span<double>, 2> state{m, v};
  Adam{}.update<double>(1, 0.125, p, g, state);
  CHECK(p[0] == Approx(-0.125).epsilon(1e-4));
  CHECK(p[1] == Approx(0.125));
  CHECK(p[2] == Approx(-0.125));
}

TEST_CASE("Adam: a gradient of zero changes nothing", "[optim]") {
  std::vector<float> p{1.5f, -0.0f}, m(2), v(2);
  const std::vector<float> g(2);
  const std::array<std::span<float>, 2> state{m, v};
  Adam{}.update<float>(1, 0.125, p, g, state);
  CHECK(p[0] == 1.5f);
  CHECK(p[1] == 0.0f);
}

}  // namespace splitvit::optim
