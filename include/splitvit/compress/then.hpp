// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>  // invalid_argument
#include <string>     // string
#include <utility>    // move

#include <splitvit/compress/concepts.hpp>  // CompressionStage
#include <splitvit/core/describe.hpp>      // describe

// first | second: two stages become one.
//
//   const auto stage = MergeSamples{.keep = 0.25} | SelectTokens{.keep = 0.5};
//
// The `|` is found for a stage of your own, too, as long as the other side is a stage of this
// namespace. For two stages of your own write `compress::then(first, second)`.

namespace splitvit::compress {

/// Whether S is a stage for float or for double.
template <class S>
concept StageForSome = CompressionStage<S, float> || CompressionStage<S, double>;

/// Whether both are stages for the element type T.
template <class T, class First, class Second>
concept HandledByBoth = CompressionStage<First, T> && CompressionStage<Second, T>;

/// Hands what `first` returns to `second`. Draws from rng in that order.
template <class First, class Second>
struct Then {
  First first;
  Second second;

  template <HandledByBoth<First, Second> T>
  CutBatch<T> operator()(CutBatch<T> batch, Rng& rng) const {
    return second(first(std::move(batch), rng), rng);
  }

  /// Errors  std::invalid_argument if both want something else of the model.
  kernel::TokenStatistic required_statistic() const {
    const kernel::TokenStatistic a = required_statistic_of(first),
                                 b = required_statistic_of(second);
    if (a != b && a != kernel::TokenStatistic::none && b != kernel::TokenStatistic::none)
      throw std::invalid_argument("then: " + describe(first) + " and " + describe(second) +
                                  " want to know different things of the model's tokens; a batch "
                                  "carries one");
    return a != kernel::TokenStatistic::none ? a : b;
  }

  std::string description() const { return describe(first) + " | " + describe(second); }
};

template <class First, class Second>
Then(First, Second) -> Then<First, Second>;

/// One stage that applies both, the first one first.
template <StageForSome First, StageForSome Second>
Then<First, Second> then(First first, Second second) {
  return {std::move(first), std::move(second)};
}

/// The same, written first | second.
template <StageForSome First, StageForSome Second>
Then<First, Second> operator|(First first, Second second) {
  return {std::move(first), std::move(second)};
}

}  // namespace splitvit::compress
