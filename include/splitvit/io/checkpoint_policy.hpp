// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/error.hpp>  // ArgumentError

namespace splitvit::inline SPLITVIT_BUILD::io {

/// When checkpoints are written.
///
///   policy.is_due(step, seconds)  bool: whether one is due after this step (from 1), `seconds`
///                                 after the last one
///
/// One party decides and tells the other one, so that both write the same steps.
template <class P>
concept CheckpointPolicy = std::copy_constructible<P> && requires(const P& policy) {
  { policy.is_due(std::uint64_t{1}, 0.0) } -> std::same_as<bool>;
};

/// Never: a training survives lost connections, but not the end of a process.
struct Memory {
  bool is_due(std::uint64_t, double) const { return false; }
};

/// After every `steps` steps, counted from the first one, and at least every `seconds`.
struct EveryN {
  std::uint64_t steps = 100;
  double seconds = 300;

  /// Errors  std::invalid_argument unless steps >= 1.
  bool is_due(std::uint64_t step, double since) const {
    if (steps < 1) throw ArgumentError({"EveryN: steps is ", steps, ", wanted at least 1"});
    return step % steps == 0 || since >= seconds;
  }
};

/// After each step. A server that writes it before it replies never computes a step again.
struct EveryStep {
  bool is_due(std::uint64_t, double) const { return true; }
};

static_assert(CheckpointPolicy<Memory> && CheckpointPolicy<EveryN> && CheckpointPolicy<EveryStep>);

}  // namespace splitvit::inline SPLITVIT_BUILD::io
