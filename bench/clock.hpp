// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>  // steady_clock

// Seconds, for all benchmarks.

namespace splitvit::bench {

inline double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double seconds_of(auto&& work) {
  const double begin = seconds();
  work();
  return seconds() - begin;
}

}  // namespace splitvit::bench
