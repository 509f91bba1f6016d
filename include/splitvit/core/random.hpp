// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>    // cos, log, sqrt
#include <numbers>  // pi

#include <splitvit/core/shape.hpp>  // Index

namespace splitvit::inline SPLITVIT_BUILD {

namespace detail {
/// One block of Philox-4x32 with ten rounds: a keyed scrambling of a 128-bit counter.
/// Source  Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
inline std::array<std::uint32_t, 4> philox_4x32(std::array<std::uint32_t, 4> counter,
                                                std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {
        static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
        static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}
}  // namespace detail

/// Random numbers as a pure function of (seed, stream, position), the same on every platform. The
/// three numbers are all its state. `at` derives independent streams, which makes "the k-means
/// start of step 7" a value that needs no history.
struct Rng {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;
  std::uint64_t position = 0;

  /// 64 random bits.
  std::uint64_t bits() {
    const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
    const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
    const auto block = detail::philox_4x32(
        {low(position), high(position), low(stream), high(stream)}, {low(seed), high(seed)});
    ++position;
    return (std::uint64_t{block[1]} << 32) | block[0];
  }

  /// A whole number in [0, n), n >= 1, each equally likely.
  Index below(Index n) {
    const auto range = static_cast<std::uint64_t>(n);
    const std::uint64_t unfair = (0 - range) % range;  // this many values would be too frequent
    std::uint64_t value = bits();
    while (value < unfair) value = bits();
    return static_cast<Index>(value % range);
  }

  /// A number in [0, 1), a multiple of 2^-53.
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

  /// A number in [low, high).
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  /// A number from the normal distribution with mean 0 and standard deviation 1 (Box-Muller).
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));  // 1 - u is never 0
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
  }

  /// Brings `count` of the items to the front, chosen without replacement, each equally likely.
  template <class T>
  void choose(std::span<T> items, Index count) {
    const auto n = static_cast<Index>(items.size());
    for (Index i = 0; i < count; ++i)
      std::swap(items[static_cast<std::size_t>(i)],
                items[static_cast<std::size_t>(i + below(n - i))]);
  }

  /// Brings the items into a random order.
  template <class T>
  void shuffle(std::span<T> items) {
    choose(items, static_cast<Index>(items.size()) - 1);
  }

  /// An independent generator for a purpose and up to two numbers, such as epoch and step, however
  /// many numbers were drawn.
  Rng at(std::uint64_t purpose, std::uint64_t first = 0, std::uint64_t second = 0) const {
    std::uint64_t mixed = stream;
    for (const std::uint64_t part : {purpose, first, second}) {
      mixed = (mixed ^ part) + 0x9E3779B97F4A7C15u;  // the finaliser of SplitMix64
      mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
      mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
      mixed ^= mixed >> 31;
    }
    return {.seed = seed, .stream = mixed, .position = 0};
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD
