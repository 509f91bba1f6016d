// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // fill

#include <splitvit/core/random.hpp>  // Rng
#include <splitvit/core/shape.hpp>   // Index

namespace splitvit::inline SPLITVIT_BUILD::codec::detail {

/// The weight of each of the k largest of n values in a draw, and of each other one.
struct DrawWeights {
  double largest;
  double other;
};

inline DrawWeights draw_weights(double alpha, Index k, Index n) {
  return {(1 - alpha) / static_cast<double>(k), k == n ? 0.0 : alpha / static_cast<double>(n - k)};
}

/// Draws of one sample; keeps its memory for the next one.
class EntryDrawer {
 public:
  EntryDrawer(double alpha, Index k, Index n)
      : weights_{draw_weights(alpha, k, n)},
        drawn_(static_cast<std::size_t>(n)),
        others_(static_cast<std::size_t>(n - k)) {}

  /// Replaces the k largest of n by k draws without replacement, each by its weight among what
  /// is left; all ascending.
  ///
  /// All values of one kind have equal weights. So it is enough to draw the kind of each, and then
  /// to choose that many from each list.
  void draw(std::span<std::uint32_t> entries, Rng& rng) {
    std::fill(drawn_.begin(), drawn_.end(), std::uint8_t{0});
    for (const std::uint32_t entry : entries) drawn_[entry] = 1;
    std::size_t next = 0;
    for (std::size_t i = 0; i < drawn_.size(); ++i)
      if (drawn_[i] == 0) others_[next++] = static_cast<std::uint32_t>(i);

    const std::size_t k = entries.size();
    const double ratio = weights_.other / weights_.largest;
    std::size_t a = k, b = others_.size();
    for (std::size_t i = 0; i < k; ++i) {
      // u (a w1 + b w2) < a w1, in a form without sums of products
      const double odds =
          static_cast<double>(b) * ratio / static_cast<double>(a);  // infinite: a = 0
      if (rng.uniform() < 1 / (1 + odds))
        --a;
      else
        --b;
    }
    rng.choose(entries, static_cast<Index>(k - a));
    rng.choose(std::span{others_}, static_cast<Index>(a));

    std::fill(drawn_.begin(), drawn_.end(), std::uint8_t{0});
    for (std::size_t i = 0; i < k - a; ++i) drawn_[entries[i]] = 1;
    for (std::size_t i = 0; i < a; ++i) drawn_[others_[i]] = 1;
    next = 0;
    for (std::size_t i = 0; i < drawn_.size(); ++i)
      if (drawn_[i] != 0) entries[next++] = static_cast<std::uint32_t>(i);
  }

 private:
  DrawWeights weights_;
  std::vector<std::uint8_t> drawn_;    // whether a value is among them
  std::vector<std::uint32_t> others_;  // not among the largest
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec::detail
