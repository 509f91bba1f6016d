// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/compress/adc.hpp>             // AdcOptions
#include <splitvit/compress/add_noise.hpp>       // AddNoise
#include <splitvit/compress/any_stage.hpp>       // AnyStage
#include <splitvit/compress/drop_samples.hpp>    // DropSamples
#include <splitvit/compress/merge_samples.hpp>   // MergeSamples
#include <splitvit/compress/merge_tokens.hpp>    // MergeTokens
#include <splitvit/compress/select_tokens.hpp>   // SelectTokens
#include <splitvit/compress/shuffle_tokens.hpp>  // ShuffleTokens
#include <splitvit/compress/then.hpp>            // Identity, then
#include <splitvit/spec/grammar.hpp>             // PolicyList

namespace splitvit::inline SPLITVIT_BUILD::spec {

using Stages = PolicyList<compress::Identity, compress::AdcOptions, compress::MergeSamples,
                          compress::DropSamples, compress::SelectTokens, compress::MergeTokens,
                          compress::ShuffleTokens, compress::AddNoise>;

/// How stages are written, one a line.
inline std::string stage_usages() { return Stages::usages(); }

/// A stage in the grammar of spec/grammar.hpp, or several with commas between, applied from left to
/// right: `none`, `adc:0.1`, `merge:0.3,select:0.3:score=norm`.
///
/// Errors  std::invalid_argument naming the part that is wrong and what is possible.
template <std::floating_point T>
compress::AnyStage<T> parse_stage(std::string_view text) {
  const std::size_t comma = text.find(',');
  compress::AnyStage<T> made = compress::Identity{};
  const auto use = [&](const auto& policy) {
    if constexpr (requires { policy.stage(); })
      made = policy.stage();
    else
      made = policy;
  };
  Stages::read({"parse_stage", text.substr(0, comma)}, "stage", use);
  if (comma == text.npos) return made;
  return compress::then(std::move(made), parse_stage<T>(text.substr(comma + 1)));
}

}  // namespace splitvit::inline SPLITVIT_BUILD::spec
