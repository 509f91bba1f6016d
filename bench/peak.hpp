// SPDX-License-Identifier: MIT
#pragma once

#include <array>    // array
#include <utility>  // index_sequence
#include <vector>   // vector

#include <splitvit/core/parallel.hpp>  // available_threads, parallel_for
#include <splitvit/kernel/simd.hpp>    // Pack, multiply_add

#include "rows.hpp"  // seconds_of

// How fast this machine can multiply and add, right now: the yardstick of the other benchmarks.

namespace splitvit::bench {

namespace detail {

template <class T, std::size_t... I>
T multiply_and_add(Index rounds, std::index_sequence<I...>) {
  // Enough independent sums to hide the latency of two units; few enough for 16 registers.
  // Different starts that the compiler cannot know, or it would keep a single sum, or none.
  volatile T start = T(1);
  std::array<kernel::Pack<T>, sizeof...(I)> sum{kernel::Pack<T>(start + static_cast<T>(I))...};
  const kernel::Pack<T> factor(T(0.999) * start), addend(T(0.001) * start);
  for (Index i = 0; i < rounds; ++i) ((sum[I] = kernel::multiply_add(sum[I], factor, addend)), ...);
  T all{};
  ((all += kernel::sum_lanes<T>(sum[I])), ...);
  return all;
}

}  // namespace detail

/// Multiply-adds of all available threads together, in GFLOP/s.
template <class T>
double peak_gflops() {
  constexpr std::size_t sums = 12;
  constexpr Index rounds = 4'000'000;
  const Index threads = available_threads();
  std::vector<T> results(static_cast<std::size_t>(threads));
  const double time = seconds_of([&] {
    parallel_for(threads, 1, [&](Index thread, Index) {
      results[static_cast<std::size_t>(thread)] =
          detail::multiply_and_add<T>(rounds, std::make_index_sequence<sums>{});
    });
  });
  volatile T keep = results.front();  // so that the work is done
  static_cast<void>(keep);
  const double flops =
      2.0 * static_cast<double>(rounds) * sums * static_cast<double>(kernel::lanes<T> * threads);
  return 1e-9 * flops / time;
}

}  // namespace splitvit::bench
