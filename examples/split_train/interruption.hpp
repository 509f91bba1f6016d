// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>      // atomic
#include <functional>  // function
#include <string>      // string
#include <thread>      // jthread

#include <signal.h>  // SIGUSR2, sigset_t

// Ctrl-C and SIGTERM: how a training stops so that it can go on later.

namespace split_train {

/// Thrown where a training is stopped by a signal. It is no std::exception: it is no failure.
struct Interrupted {
  int signal = 0;
  std::string text;  ///< how to go on

  /// As a shell has it.
  int exit_code() const { return 128 + signal; }
};

/// For a party that asks between its steps: from now on the first SIGINT or SIGTERM is only
/// remembered. A second one ends the process at once.
void remember_signals();
/// The signal that came; 0: none.
int signal_that_came();

/// From now on SIGINT or SIGTERM ends the process at once, with a line that says how to go on. For
/// a party whose checkpoints are always written before anybody hears of what they hold. `are_kept`:
/// whether there are checkpoints.
void end_at_signals(bool are_kept);

/// For a party that waits: another thread calls `action` at the first SIGINT or SIGTERM, and ends
/// the process with 128 + signal. A second one ends it at once. A signal that was ignored before
/// has no effect. Make it before other threads.
class SignalWatch {
 public:
  explicit SignalWatch(std::function<void(int signal)> action);
  ~SignalWatch();

 private:
  static constexpr int wake = SIGUSR2;  // ends the thread

  static sigset_t blocked_signals();

  sigset_t signals_;
  std::function<void(int signal)> action_;
  std::atomic<bool> is_over_{false};
  std::jthread thread_;
};

}  // namespace split_train
