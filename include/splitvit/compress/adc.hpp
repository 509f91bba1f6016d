// SPDX-License-Identifier: MIT
#pragma once

#include <array>      // array
#include <cmath>      // pow, sqrt
#include <cstdint>    // uint8_t
#include <stdexcept>  // invalid_argument

#include <splitvit/compress/kept_count.hpp>     // require_fraction
#include <splitvit/compress/merge_samples.hpp>  // MergeSamples
#include <splitvit/compress/select_tokens.hpp>  // SelectTokens
#include <splitvit/compress/then.hpp>           // Then
#include <splitvit/core/text.hpp>               // Named

// adc(ratio): Attention-based Double Compression, both stages from one overall ratio.
//
//   const auto stage = adc(0.1);                               // a tenth of the bytes
//   const auto other = adc({.samples = 0.25, .tokens = 0.5});  // an eighth

namespace splitvit::compress {

/// How much of a batch stays: ratio = samples * tokens.
struct KeepFractions {
  double samples = 0.5;  ///< of the samples, in (0, 1]
  double tokens = 0.5;   ///< of each sample's tokens, in (0, 1]
};

/// How one ratio is shared between the two stages.
enum class Split : std::uint8_t {
  sqrt_sqrt,      ///< samples and tokens both ratio^(1/2): the paper
  fifth,          ///< samples ratio^(1/5), tokens the rest: older versions of the authors' code
  final_release,  ///< samples ratio^(1/2), tokens ratio^(1/4): the authors' final code, which
                  ///< sends ratio^(3/4) and not what was asked for
};

namespace detail {

inline constexpr std::array<Named<Split>, 3> split_names{{{"sqrt_sqrt", Split::sqrt_sqrt},
                                                          {"fifth", Split::fifth},
                                                          {"final_release", Split::final_release}}};

}  // namespace detail

/// The two fractions that a ratio stands for.
///
/// Errors  std::invalid_argument if ratio is outside (0, 1].
/// Source  arXiv:2509.15058; authors' code: Federico-Alvetreti/Split-Learning_ADC and
///         Federico-Alvetreti/Attention-based-Double-Compression.
inline KeepFractions keep_fractions(double ratio, Split split = Split::sqrt_sqrt) {
  require_fraction("adc", ratio);
  switch (split) {
    case Split::sqrt_sqrt:
      return {.samples = std::sqrt(ratio), .tokens = std::sqrt(ratio)};
    case Split::fifth: {
      const double samples = std::pow(ratio, 0.2);
      return {.samples = samples, .tokens = std::pow(samples, 4.0)};
    }
    case Split::final_release:
      return {.samples = std::sqrt(ratio), .tokens = std::sqrt(std::sqrt(ratio))};
  }
  throw std::invalid_argument("adc: no such split");
}

/// Merges samples, then selects tokens, with all other options at their defaults.
inline Then<MergeSamples, SelectTokens> adc(KeepFractions keep) {
  require_fraction("adc", keep.samples);
  require_fraction("adc", keep.tokens);
  return {MergeSamples{.keep = keep.samples}, SelectTokens{.keep = keep.tokens}};
}

/// The same from one overall ratio. The real ratio is a little smaller, since both counts are
/// whole numbers.
inline Then<MergeSamples, SelectTokens> adc(double ratio, Split split = Split::sqrt_sqrt) {
  return adc(keep_fractions(ratio, split));
}

}  // namespace splitvit::compress
