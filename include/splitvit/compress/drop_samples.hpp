// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // sort
#include <numeric>    // iota

#include <splitvit/compress/cut_batch.hpp>  // CutBatch, kept_count
#include <splitvit/compress/gather.hpp>     // gather_samples
#include <splitvit/compress/then.hpp>       // Identity
#include <splitvit/core/options.hpp>        // at_least, fraction, require_options
#include <splitvit/core/random.hpp>         // Rng
#include <splitvit/core/workspace.hpp>      // RecycledVector

namespace splitvit::inline SPLITVIT_BUILD::compress {

/// Sends a random choice of the samples. A control: a stage that merges samples must train better
/// than this one, at equal bytes.
///
/// Shapes  tokens (B, N, D) -> (K, N, D), cls_attention (B, N) -> (K, N), labels of B rows -> K
///         rows, with K = max(min_samples, floor(keep * B)), at most B: as many as MergeSamples
///         sends. Order: ascending. K = B returns the batch unchanged, bit for bit.
/// Grad    tokens only. Kept samples get their gradient, the others zero.
/// Errors  std::invalid_argument for an option outside its range; ShapeError for an inconsistent
///         batch.
struct DropSamples {
  double keep = 0.5;      ///< fraction of the batch that remains, in (0, 1]
  Index min_samples = 2;  ///< never fewer than this, if B allows it

  template <std::floating_point T>
  CutBatch<T> operator()(CutBatch<T> batch, Rng& rng) const {
    require_consistent("DropSamples", batch);
    require_options("DropSamples", *this);
    const Index B = batch.samples(), K = kept_count(keep, B, min_samples);
    if (K == B) return batch;
    RecycledVector<Index> all(static_cast<std::size_t>(B));
    std::iota(all.begin(), all.end(), Index{0});
    rng.choose(std::span{all}, K);
    all.resize(static_cast<std::size_t>(K));
    std::sort(all.begin(), all.end());
    return gather_samples(std::move(batch), std::span<const Index>{all});
  }

  /// Every sample wants a prediction.
  Identity in_evaluation() const { return {}; }

  static constexpr std::string_view name = "drop";
  static void each_option(auto& self, auto&& see) {
    see("", self.keep, Required{fraction("R")});
    see("min_samples", self.min_samples, at_least(1, "COUNT"));
  }
  std::string description() const { return describe_options(*this); }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::compress
