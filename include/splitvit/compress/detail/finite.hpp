// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp
#include <concepts>   // floating_point
#include <limits>     // numeric_limits

// finite: the last step of a sum in double precision.

namespace splitvit::compress::detail {

/// The sum as a number of T; the largest one where it is too large, so that finite numbers have
/// finite sums.
template <std::floating_point T>
T finite(double sum) {
  constexpr auto limit = static_cast<double>(std::numeric_limits<T>::max());
  return static_cast<T>(std::clamp(sum, -limit, limit));
}

}  // namespace splitvit::compress::detail
