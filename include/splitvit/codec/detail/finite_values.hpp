// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point
#include <limits>    // numeric_limits
#include <string>    // string

#include <splitvit/core/error.hpp>     // Reason, WireError
#include <splitvit/tensor/reduce.hpp>  // all_finite
#include <splitvit/tensor/tensor.hpp>  // TensorView

// NaN and infinity cross the cut in neither direction.

namespace splitvit::codec::detail {

/// Errors  WireError (not_finite) naming the codec and the tensor's shape.
template <std::floating_point T>
void require_finite(TensorView<const T> x, const std::string& codec) {
  if (!all_finite(x))
    throw WireError(Reason::not_finite,
                    codec + ": NaN or infinity in a tensor " + x.shape().text());
}

/// The number, or the largest one of its sign if it is infinite.
template <std::floating_point T>
T limited(T value) {
  constexpr T most = std::numeric_limits<T>::max();
  return value > most ? most : value < -most ? -most : value;
}

}  // namespace splitvit::codec::detail
