// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>     // floating_point
#include <stdexcept>    // invalid_argument
#include <string>       // string
#include <string_view>  // string_view
#include <utility>      // move

#include <splitvit/compress/adc.hpp>            // adc, keep_fractions
#include <splitvit/compress/any_stage.hpp>      // AnyStage
#include <splitvit/compress/drop_samples.hpp>   // DropSamples
#include <splitvit/compress/identity.hpp>       // Identity
#include <splitvit/compress/merge_samples.hpp>  // MergeSamples
#include <splitvit/compress/merge_tokens.hpp>   // MergeTokens
#include <splitvit/compress/select_tokens.hpp>  // SelectTokens
#include <splitvit/compress/stage_text.hpp>     // StageText
#include <splitvit/compress/then.hpp>           // then

// parse_stage: a stage from a text, as people write it on a command line.

namespace splitvit::compress {

namespace detail {

inline constexpr std::string_view possible_stages =
    "none, adc:XI, merge:R, drop:R, select:R, merge-tokens:R with numbers in (0, 1], options "
    "behind them as in select:0.3:score=norm, and several with commas between: "
    "merge:0.3,select:0.3";

inline void read_options(StageText& text, MergeSamples& stage) {
  text.option("min_clusters", stage.min_clusters, 1);
  text.option("max_iterations", stage.max_iterations, 1);
  text.option("tolerance", stage.tolerance, 0);
  text.option("start", stage.start, start_names);
  text.option("stop", stage.stop, stop_names);
  text.option("with_cls_entry", stage.with_cls_entry);
  text.option("min_cluster_size", stage.min_cluster_size, 1);
  text.option("grouping", stage.grouping, grouping_names);
  text.option("weight_by_size", stage.weight_by_size);
}
inline void read_options(StageText& text, DropSamples& stage) {
  text.option("min_samples", stage.min_samples, 1);
}
inline void read_options(StageText& text, SelectTokens& stage) {
  text.option("score", stage.score, score_names);
  text.option("rest", stage.rest, rest_names);
}
inline void read_options(StageText& text, MergeTokens& stage) {
  text.option("features", stage.features, feature_names);
  text.option("send_sizes", stage.send_sizes);
}
inline void read_options(StageText& text, Then<MergeSamples, SelectTokens>& stage) {
  read_options(text, stage.first);
  read_options(text, stage.second);
}

/// One stage of the text, such as "merge:0.3".
template <std::floating_point T>
AnyStage<T> parse_single_stage(std::string_view written) {
  StageText text{written, possible_stages};
  const auto with_options = [&](auto stage) -> AnyStage<T> {
    read_options(text, stage);
    text.finish();
    return stage;
  };
  const std::string_view name = text.name();
  if (name == "none") {
    text.finish();
    return Identity{};
  }
  if (name == "merge") return with_options(MergeSamples{.keep = text.ratio()});
  if (name == "drop") return with_options(DropSamples{.keep = text.ratio()});
  if (name == "select") return with_options(SelectTokens{.keep = text.ratio()});
  if (name == "merge-tokens") return with_options(MergeTokens{.keep = text.ratio()});
  if (name != "adc") text.fail_as_a_whole("is no method");
  const double ratio = text.ratio();
  Split split = Split::sqrt_sqrt;
  text.option("split", split, split_names);
  return with_options(adc(ratio, split));
}

}  // namespace detail

/// A stage, or several with commas between, applied from left to right:
///
///   none                  sends everything
///   adc:XI                both stages of ADC, with one overall ratio. split=sqrt_sqrt|fifth|
///                         final_release, and the options of merge and select
///   merge:R               MergeSamples, which keeps the fraction R. Options as its members
///   drop:R                DropSamples. min_samples=
///   select:R              SelectTokens. score=, rest=
///   merge-tokens:R        MergeTokens. features=, send_sizes=
///
/// Options follow the number, each after a colon: `select:0.3:score=norm:rest=mean`. They are
/// called as in the stage's description().
///
/// Errors  std::invalid_argument naming the part that is wrong and what is possible.
template <std::floating_point T>
AnyStage<T> parse_stage(std::string_view text) {
  const std::size_t comma = text.find(',');
  AnyStage<T> first = detail::parse_single_stage<T>(text.substr(0, comma));
  if (comma == std::string_view::npos) return first;
  return then(std::move(first), parse_stage<T>(text.substr(comma + 1)));
}

}  // namespace splitvit::compress
