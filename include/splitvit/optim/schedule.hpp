// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>    // cos
#include <numbers>  // pi

#include <splitvit/core/std.hpp>

// Learning rates as functions of the step, counted from 0, without state:
//
//   const auto rate = warm_up(500, Cosine{.lr = 1e-3, .steps = 10000});
//   optimizer.set_learning_rate(rate(step));

namespace splitvit::inline SPLITVIT_BUILD::optim {

template <class S>
concept Schedule = std::copy_constructible<S> && requires(const S& schedule, std::uint64_t step) {
  { schedule(step) } -> std::convertible_to<double>;
};

struct Constant {
  double lr = 1e-3;

  double operator()(std::uint64_t) const { return lr; }
};

/// From lr down to `last` in half a cosine wave, over `steps` steps; then `last`.
/// Source  PyTorch, CosineAnnealingLR with T_max = steps and eta_min = last.
struct Cosine {
  double lr = 1e-3;
  std::uint64_t steps = 1;
  double last = 0.0;

  double operator()(std::uint64_t step) const {
    if (step >= steps) return last;
    const double done = static_cast<double>(step) / static_cast<double>(steps);
    return last + (lr - last) * (1.0 + std::cos(std::numbers::pi * done)) / 2.0;
  }
};

template <Schedule Then>
struct WarmUp {
  std::uint64_t steps;
  Then then;

  double operator()(std::uint64_t step) const {
    if (step >= steps) return then(step - steps);
    return then(std::uint64_t{0}) * static_cast<double>(step + 1) / static_cast<double>(steps + 1);
  }
};

/// A linear rise over `steps` steps from almost 0 to the first rate of `then`, then `then`.
template <Schedule Then>
WarmUp<Then> warm_up(std::uint64_t steps, Then then) {
  return {steps, std::move(then)};
}

}  // namespace splitvit::inline SPLITVIT_BUILD::optim
