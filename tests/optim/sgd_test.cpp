// SPDX-License-Identifier: MIT

#include <vector>

#include <splitvit/optim/sgd.hpp>

#include "support/catch.hpp"

namespace splitvit::optim {
namespace {

/// p and b after two updates of one number with gradients 1 and 2, from p = 1.
struct Outcome {
  double p, b;
};

Outcome after_two(const Sgd& rule) {
  std::vector<double> p{1.0}, b(rule.state_names().size());
  std::vector<std::span<double>> state;
  if (!b.empty()) state.push_back(b);
  for (std::uint64_t t = 1; t <= 2; ++t) {
    const std::vector<double> g{static_cast<double>(t)};
    rule.update<double>(t, rule.lr, p, g, state);
  }
  return {p[0], b.empty() ? 0.0 : b[0]};
}

}  // namespace

TEST_CASE("Sgd: steps worked by hand", "[optim]") {
  CHECK(after_two({.lr = 0.5}).p == -0.5);  // 1 - .5 - 1
  const auto momentum = after_two({.lr = 0.5, .momentum = 0.5});
  CHECK(momentum.b == 2.5);    // .5 * 1 + 2
  CHECK(momentum.p == -0.75);  // 1 - .5 - 1.25
  const auto nesterov = after_two({.lr = 0.5, .momentum = 0.5, .nesterov = true});
  CHECK(nesterov.p == -1.375);  // 1 - .5 (1 + .5) - .5 (2 + 1.25)
  const auto decay = after_two({.lr = 0.5, .weight_decay = 0.5});
  CHECK(decay.p == -0.8125);  // .25, then .25 - .5 (2 + .125)
}

TEST_CASE("Sgd: without momentum there is no state", "[optim]") {
  CHECK(Sgd{}.state_names().empty());
  CHECK(Sgd{.momentum = 0.9}.state_names().size() == 1);
}

}  // namespace splitvit::optim
