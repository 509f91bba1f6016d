// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/compress/concepts.hpp>  // CompressionStage
#include <splitvit/core/options.hpp>       // describe

// first | second: two stages become one; Identity: the stage that changes nothing.
//
//   const auto stage = MergeSamples{.keep = 0.25} | SelectTokens{.keep = 0.5};
//
// For two stages of your own write `compress::then(first, second)`.

namespace splitvit::inline SPLITVIT_BUILD::compress {

/// Whether S is a stage for float or for double.
template <class S>
concept StageForSome = CompressionStage<S, float> || CompressionStage<S, double>;

/// Applies `first`, then `second`. Draws from rng in that order.
template <class First, class Second>
struct Then {
  First first;
  Second second;

  template <class T>
    requires CompressionStage<First, T> && CompressionStage<Second, T>
  CutBatch<T> operator()(CutBatch<T> batch, Rng& rng) const {
    return second(first(std::move(batch), rng), rng);
  }

  /// Errors  std::invalid_argument if both need a statistic, and not the same one.
  kernel::TokenStatistic required_statistic() const {
    constexpr auto none = kernel::TokenStatistic::none;
    const auto a = required_statistic_of(first), b = required_statistic_of(second);
    if (a != b && a != none && b != none)
      throw std::invalid_argument("then: " + description() +
                                  " need different statistics of the tokens; a batch has one");
    return a != none ? a : b;
  }

  /// Both, as far as they keep all samples.
  auto in_evaluation() const {
    auto a = compress::in_evaluation(first);
    auto b = compress::in_evaluation(second);
    return Then<decltype(a), decltype(b)>{std::move(a), std::move(b)};
  }

  std::string description() const { return describe(first) + "," + describe(second); }
};

template <class First, class Second>
Then(First, Second) -> Then<First, Second>;

template <StageForSome First, StageForSome Second>
Then<First, Second> then(First first, Second second) {
  return {std::move(first), std::move(second)};
}

template <StageForSome First, StageForSome Second>
Then<First, Second> operator|(First first, Second second) {
  return {std::move(first), std::move(second)};
}

/// Training without compression: returns the batch unchanged, bit for bit. `Identity{} | s` and `s
/// | Identity{}` equal s.
struct Identity {
  template <std::floating_point T>
  CutBatch<T> operator()(CutBatch<T> batch, Rng&) const {
    return batch;
  }

  static constexpr std::string_view name = "none";
  static void each_option(auto&, auto&&) {}
  std::string description() const { return describe_options(*this); }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::compress
