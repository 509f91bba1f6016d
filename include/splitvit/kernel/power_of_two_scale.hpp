// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max
#include <cmath>      // ldexp
#include <concepts>   // floating_point
#include <limits>     // numeric_limits
#include <span>       // span

#include <splitvit/core/parallel.hpp>  // parallel_reduce
#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/kernel/simd.hpp>    // absolute, largest

// A scale for numbers whose sums or squares would overflow.

namespace splitvit::kernel {

/// A power of two to divide by, so that no magnitude is above 2^exponent, for an exponent above 0.
/// It is 1 except for extremely large numbers.
template <std::floating_point T>
T power_of_two_scale(std::span<const T> values, int exponent) {
  if (exponent >= std::numeric_limits<T>::max_exponent) return T{1};
  const auto of_part = [&](Index begin, Index end) {
    return largest(values.data() + begin, end - begin, [](const auto& x) { return absolute(x); });
  };
  const auto larger = [](T a, T b) { return std::max(a, b); };
  const T most =
      parallel_reduce(static_cast<Index>(values.size()), Index{1} << 15, T{0}, of_part, larger);
  return most > std::ldexp(T{1}, exponent)
             ? std::ldexp(T{1}, std::numeric_limits<T>::max_exponent - exponent)
             : T{1};
}

}  // namespace splitvit::kernel
