// SPDX-License-Identifier: MIT
#include <cmath>
#include <vector>

#include <splitvit/codec/detail/rate_control.hpp>

#include "support/catch.hpp"

using namespace splitvit;
using codec::detail::RateState;
using codec::detail::search_step;
using codec::detail::StepTry;

namespace {

/// A made-up coder: bytes fall with the step, change from message to message, and every 32nd
/// message has a basis.
struct Coder {
  double basis = 0;
  double slope = 1.3;
  int message = 0, tries = 0;

  StepTry<double> operator()(double step) {
    ++tries;
    const bool has_basis = message % 32 == 0;
    const double wave = 1 + 0.05 * std::sin(message * 1.7) + 0.2 * std::exp(-message / 3.0);
    const double bytes =
        std::floor(50 + (has_basis ? basis : 0) + 20000 * wave * std::pow(step, -slope));
    return {.bytes = bytes, .has_extra = has_basis, .result = bytes};
  }
};

}  // namespace

TEST_CASE("rate control: each message is near its budget, and the mean is nearer", "[codec]") {
  for (const double slope : {0.8, 1.3, 2.2})
    for (const double basis : {0.0, 300.0})
      for (const double budget : {600.0, 5000.0}) {
        CAPTURE(slope, basis, budget);
        RateState state;
        Coder coder{.basis = basis, .slope = slope};
        double sum = 0;
        for (; coder.message < 200; ++coder.message) {
          const double bytes = search_step<double>(state, budget, 2, std::ref(coder));
          CHECK(std::abs(bytes / budget - 1) < 0.075);
          sum += bytes;
        }
        CHECK(std::abs(sum / (200 * budget) - 1) < 0.005);
        CHECK(coder.tries < 2.5 * 200);
      }
}

TEST_CASE("rate control: a budget that cannot be kept takes a bounded number of tries", "[codec]") {
  RateState state;
  int tries = 0;
  const auto stubborn = [&](double) {
    ++tries;
    return StepTry<int>{.bytes = 1000, .result = 7};
  };
  for (const double budget : {0.0, 10.0, 1e6}) {
    CHECK(search_step<int>(state, budget, 2, stubborn) == 7);
    CHECK(tries <= 6);
    CHECK(std::abs(state.saved) <= std::max(1.0, budget));
    CHECK(state.step >= 1e-3);
    CHECK(state.step <= 1e3);
    tries = 0;
  }
}
