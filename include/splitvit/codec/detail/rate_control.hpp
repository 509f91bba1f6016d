// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, max
#include <cmath>      // abs, exp, log

#include <splitvit/core/std.hpp>

namespace splitvit::inline SPLITVIT_BUILD::codec::detail {

/// What a sender knows of its earlier messages when it looks for the next one's step.
struct RateState {
  double step = 0;     ///< of the last message without an extra; 0: there was none
  double saved = 0;    ///< bytes that earlier messages have left, or, below 0, had too many
  double slope = 1.3;  ///< of the logarithm of the bytes over that of the step, without its sign

  /// See core/state.hpp.
  void each_state(auto&& see, const std::string& prefix) {
    see(prefix + "rate.step", step);
    see(prefix + "rate.saved", saved);
    see(prefix + "rate.slope", slope);
  }
};

/// A message written with some step.
template <class Result>
struct StepTry {
  double bytes = 0;
  bool has_extra = false;  ///< whether it has something, such as a basis, that the next one has not
  Result result;
};

/// Writes a message by several steps, and returns the one whose bytes come nearest to `budget`, or
/// to as much more or less as makes up for earlier messages, 4 % at most. A message within 3 % of
/// that is near enough.
///
/// The logarithm of the bytes falls nearly straight with that of the step; the slope is found from
/// the last two tries. Depends on the budget, the state and the messages alone.
///
/// `write(step)` returns a StepTry<Result>; `first` is the step of the first try ever.
template <class Result, class Write>
Result search_step(RateState& state, double budget, double first, const Write& write) {
  constexpr double near = 0.03, most_made_up = 0.04;
  constexpr double least_step = 1e-3, largest_step = 1e3;
  constexpr int most_tries = 6;
  budget = std::max(1.0, budget);
  const double aim =
      budget + std::clamp(state.saved, -most_made_up * budget, most_made_up * budget);
  const auto error_of = [&](const StepTry<Result>& one) { return std::log(one.bytes / aim); };

  double step = state.step > 0 ? state.step : first, best_step = step, slope = state.slope;
  StepTry<Result> best = write(step);
  double error = error_of(best);
  bool had_extra = best.has_extra;
  for (int tries = 1; tries < most_tries && std::abs(error_of(best)) > near; ++tries) {
    const double next = std::clamp(step * std::exp(error / slope), least_step, largest_step);
    if (next == step) break;
    StepTry<Result> now = write(next);
    if (now.has_extra == had_extra)
      slope = std::clamp((error - error_of(now)) / std::log(next / step), 0.3, 3.0);
    if (!had_extra && !now.has_extra) state.slope = slope;
    step = next;
    error = error_of(now);
    had_extra = now.has_extra;
    if (std::abs(error) >= std::abs(error_of(best))) continue;
    best = std::move(now);
    best_step = step;
  }
  // What an extra has taken, the next message has for itself.
  if (!best.has_extra || state.step == 0) state.step = best_step;
  state.saved = std::clamp(state.saved + budget - best.bytes, -budget, budget);
  return std::move(best.result);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::codec::detail
