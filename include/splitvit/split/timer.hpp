// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>  // duration, steady_clock

// Timer: seconds since it was last asked.

namespace splitvit::split {

class Timer {
 public:
  /// Seconds since the last call, or since the timer was made.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace splitvit::split
