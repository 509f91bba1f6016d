// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>  // pow, sqrt

#include <splitvit/compress/merge_samples.hpp>  // MergeSamples
#include <splitvit/compress/select_tokens.hpp>  // SelectTokens
#include <splitvit/compress/then.hpp>           // Then
#include <splitvit/core/options.hpp>            // fraction, names_of, require_option

// adc(ratio): Attention-based Double Compression, both stages from one overall ratio.
//
//   const auto stage = adc(0.1);                               // a tenth of the bytes
//   const auto other = adc({.samples = 0.25, .tokens = 0.5});  // an eighth

namespace splitvit::inline SPLITVIT_BUILD::compress {

/// The fractions that both stages keep: ratio = samples * tokens.
struct KeepFractions {
  double samples = 0.5;  ///< of the samples, in (0, 1]
  double tokens = 0.5;   ///< of each sample's tokens, in (0, 1]
};

/// How one ratio is shared between the two stages.
enum class Split : std::uint8_t {
  sqrt_sqrt,      ///< samples and tokens both ratio^(1/2): the paper
  fifth,          ///< samples ratio^(1/5), tokens the rest: older versions of the authors' code
  final_release,  ///< samples ratio^(1/2), tokens ratio^(1/4): the authors' final code; sends more
};

namespace detail {
inline constexpr auto split_names = names_of<Split>({{"sqrt_sqrt", Split::sqrt_sqrt},
                                                     {"fifth", Split::fifth},
                                                     {"final_release", Split::final_release}});
}  // namespace detail

/// The two fractions for a ratio in (0, 1], else std::invalid_argument.
///
/// Source  arXiv:2509.15058; authors' code: Federico-Alvetreti/Split-Learning_ADC and
///         Federico-Alvetreti/Attention-based-Double-Compression.
inline KeepFractions keep_fractions(double ratio, Split split = Split::sqrt_sqrt) {
  require_option("adc", "ratio", ratio, fraction("XI"));
  require_option("adc", "split", split, detail::split_names);
  const double root = std::sqrt(ratio), fifth = std::pow(ratio, 0.2);
  if (split == Split::fifth) return {.samples = fifth, .tokens = std::pow(fifth, 4.0)};
  return {.samples = root, .tokens = split == Split::sqrt_sqrt ? root : std::sqrt(root)};
}

/// Merges samples, then selects tokens, with all other options at their defaults.
inline Then<MergeSamples, SelectTokens> adc(KeepFractions keep) {
  require_option("adc", "samples", keep.samples, fraction("R"));
  require_option("adc", "tokens", keep.tokens, fraction("R"));
  return {MergeSamples{.keep = keep.samples}, SelectTokens{.keep = keep.tokens}};
}

/// The same from one overall ratio. Both counts are rounded down.
inline Then<MergeSamples, SelectTokens> adc(double ratio, Split split = Split::sqrt_sqrt) {
  return adc(keep_fractions(ratio, split));
}

/// What a text names that asks for both stages by one overall ratio.
struct AdcOptions {
  double ratio = 0.25;  ///< see keep_fractions
  Split split = Split::sqrt_sqrt;
  MergeSamples merge = {};   ///< its options except `keep`
  SelectTokens select = {};  ///< likewise

  static constexpr std::string_view name = "adc";
  static void each_option(auto& self, auto&& see) {
    see("", self.ratio, Required{fraction("XI")});
    see("split", self.split, detail::split_names);
    const auto see_others = [&](std::string_view option, auto& value, const auto& kind) {
      if (!option.empty()) see(option, value, kind);
    };
    MergeSamples::each_option(self.merge, see_others);
    SelectTokens::each_option(self.select, see_others);
  }

  /// Errors  as keep_fractions.
  Then<MergeSamples, SelectTokens> stage() const {
    Then<MergeSamples, SelectTokens> both{merge, select};
    const KeepFractions keep = keep_fractions(ratio, split);
    both.first.keep = keep.samples;
    both.second.keep = keep.tokens;
    return both;
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::compress
