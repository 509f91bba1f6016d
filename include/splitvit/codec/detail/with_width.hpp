// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>  // integral_constant

#include <splitvit/core/shape.hpp>  // Index

// Loops over the numbers of very short pieces want to know at compile time how many they are.

namespace splitvit::codec::detail {

/// Calls work(width): with a constant for 1 to 4, else with the Index itself.
template <class Work>
void with_width(Index width, const Work& work) {
  switch (width) {
    case 1:
      return work(std::integral_constant<Index, 1>{});
    case 2:
      return work(std::integral_constant<Index, 2>{});
    case 3:
      return work(std::integral_constant<Index, 3>{});
    case 4:
      return work(std::integral_constant<Index, 4>{});
    default:
      return work(width);
  }
}

}  // namespace splitvit::codec::detail
