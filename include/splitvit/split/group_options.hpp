// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>      // nanoseconds
#include <functional>  // function

#include <splitvit/core/error.hpp>    // WireError
#include <splitvit/split/report.hpp>  // Evaluation, StepReport

namespace splitvit::inline SPLITVIT_BUILD::split {

/// In which order a server applies the steps of its clients.
enum class Order {
  /// The first steps of all clients of the round in the order of their numbers, then the second
  /// ones, and so on. A client with fewer steps is passed over. Timing does not change any bit.
  fixed,
  arrival,  ///< as they come: faster with clients of different speed, and not repeatable
};

/// Clients that train one model together.
struct GroupOptions {
  std::uint32_t clients = 1;  ///< that are registered, with numbers from 1
  Order order = Order::fixed;
  std::uint64_t seed = 0;  ///< of who takes part in a round
  /// The others go on without a client for which they have waited so long: its steps in this round
  /// do not count, it takes the next average when it comes, and may come in a new session. The
  /// result then depends on timing. 0: they wait without end.
  std::chrono::nanoseconds deadline{0};
  /// Number of the client that evaluates, or another one while it is away; 0: nobody does.
  std::uint32_t evaluator = 0;
  std::uint64_t evaluate_every = 1;  ///< rounds between evaluations; there is one at the end, too
  /// Is told of weights that are left out of the average of a round; training goes on. The reason
  /// is `late` if the client was skipped. Client 0 stands for the average itself: it cannot be
  /// used, and the weights stay as they were.
  std::function<void(std::uint32_t client, std::uint64_t round, const WireError& why)> on_left_out =
      {};
  /// Is told of each step of a client, as far as the server knows it.
  std::function<void(std::uint32_t client, const StepReport& step)> on_step = {};
  /// Is told what the evaluator has found after a round, before training goes on.
  std::function<void(std::uint64_t round, const Evaluation& found)> on_evaluated = {};
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
