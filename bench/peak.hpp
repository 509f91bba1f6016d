// SPDX-License-Identifier: MIT
#pragma once

#include <array>    // array
#include <utility>  // index_sequence
#include <vector>   // vector

#include <splitvit/core/parallel.hpp>   // available_threads, parallel_for
#include <splitvit/kernel/compute.hpp>  // Compute
#include <splitvit/kernel/gemm.hpp>     // multiply_block
#include <splitvit/kernel/simd.hpp>     // Pack, multiply_add

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

/// GFLOP/s of all available threads together, each of which does `flops` operations in work().
template <class Work>
double rate_of_threads(double flops, const Work& work) {
  const Index threads = available_threads();
  std::vector<float> results(static_cast<std::size_t>(threads));
  const double time = seconds_of([&] {
    parallel_for(threads, 1, [&](Index thread, Index) {
      results[static_cast<std::size_t>(thread)] = static_cast<float>(work());
    });
  });
  volatile float keep = results.front();  // so that the work is done
  static_cast<void>(keep);
  return 1e-9 * flops * static_cast<double>(threads) / time;
}

/// Multiply-adds of all available threads together, in GFLOP/s: from registers.
template <class T>
double peak_gflops() {
  constexpr std::size_t sums = 12;
  constexpr Index rounds = 4'000'000;
  return rate_of_threads(2.0 * static_cast<double>(rounds * kernel::lanes<T>) * sums, [&] {
    return detail::multiply_and_add<T>(rounds, std::make_index_sequence<sums>{});
  });
}

/// The same of pairs of bfloat16: the tile of a product whose factors lie in the first-level cache,
/// since the unit for matrices reads them from there.
inline double peak_gflops_of_pairs() {
  using kernel::BrainPair;
  constexpr Index K = 64, rows = kernel::detail::left_rows<float, BrainPair>,
                  cols = kernel::tile_cols<float>, rounds = 20'000;
  const double flops = 2.0 * static_cast<double>(2 * K * rows * cols * rounds);
  return rate_of_threads(flops, [] {
    const std::vector<BrainPair> a(rows * K), b(K * cols);
    std::vector<float> c(rows * cols);
    [[maybe_unused]] const kernel::detail::UnitOf<float, BrainPair> unit;
    for (Index i = 0; i < rounds; ++i)
      kernel::detail::multiply_block<float, BrainPair>(unit, rows, K, {a.data(), K, 1}, b.data(),
                                                       {c.data(), cols, cols, nullptr, false});
    return c[0];
  });
}

inline double peak_gflops_of(kernel::Compute compute) {
  return compute == kernel::Compute::bf16 ? peak_gflops_of_pairs() : peak_gflops<float>();
}

}  // namespace splitvit::bench
