// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // sort
#include <cstddef>    // size_t
#include <span>       // span
#include <utility>    // swap

#include <splitvit/core/random.hpp>  // Rng
#include <splitvit/core/shape.hpp>   // Index

// choose: some of a list, by chance.

namespace splitvit::compress::detail {

/// Brings `count` of the items, each choice equally likely, to the front, in ascending order.
inline void choose(std::span<Index> items, Index count, Rng& rng) {
  const auto size = static_cast<Index>(items.size());
  for (Index i = 0; i < count; ++i)
    std::swap(items[static_cast<std::size_t>(i)],
              items[static_cast<std::size_t>(i + rng.below(size - i))]);
  std::sort(items.begin(), items.begin() + count);
}

}  // namespace splitvit::compress::detail
