// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/compress/cut_batch.hpp>      // CutBatch
#include <splitvit/core/random.hpp>             // Rng
#include <splitvit/kernel/token_statistic.hpp>  // TokenStatistic

// CompressionStage: a type that makes the batch at the cut smaller.
//
// A stage is a small struct of your own. These functions do the work, gradient included:
// gather_tokens and gather_samples (gather.hpp), merge_clusters (merge_samples.hpp) and
// merge_token_groups (merge_tokens.hpp).
//
//   /// Keeps every k-th token.
//   struct EveryKth {
//     Index k = 2;
//
//     template <std::floating_point T>
//     CutBatch<T> operator()(CutBatch<T> in, Rng&) const {
//       std::vector<Index> kept;  // CLS is token 0, so it stays
//       for (Index j = 0; j < in.token_count(); j += k) kept.push_back(j);
//       return gather_tokens(std::move(in), kept);
//     }
//   };

namespace splitvit::inline SPLITVIT_BUILD::compress {

/// Turns a batch at the cut into a smaller one.
///
/// stage(batch, rng) returns a CutBatch<T> with 1 <= B' <= B, 1 <= N' <= N and the same D. Token 0
/// is still CLS. labels has B' rows, with the classes of the samples that each row stands for.
/// cls_attention describes the returned tokens, in their order.
///
/// A stage keeps nothing between calls, draws random numbers only from rng, and lets gradients flow
/// through tokens. A stage that needs a statistic of the tokens in the batch has a function
/// `kernel::TokenStatistic required_statistic() const`. Evaluation is without stages, or, as a
/// model is deployed, with those that keep all samples: see in_evaluation.
template <class S, class T>
concept CompressionStage =
    std::copy_constructible<S> && requires(const S& stage, CutBatch<T> batch, Rng& rng) {
      { stage(std::move(batch), rng) } -> std::same_as<CutBatch<T>>;
    };

/// The statistic that a stage needs.
template <class Stage>
kernel::TokenStatistic required_statistic_of(const Stage& stage) {
  if constexpr (requires { stage.required_statistic(); })
    return stage.required_statistic();
  else
    return kernel::TokenStatistic::none;
}

/// The stage to use where each sample wants a prediction of its own: the stage itself, or what its
/// in_evaluation() returns. One that makes samples fewer returns Identity there.
template <class Stage>
auto in_evaluation(const Stage& stage) {
  if constexpr (requires { stage.in_evaluation(); })
    return stage.in_evaluation();
  else
    return stage;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::compress
