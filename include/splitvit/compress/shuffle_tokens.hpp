// SPDX-License-Identifier: MIT
#pragma once

#include <numeric>  // iota

#include <splitvit/compress/cut_batch.hpp>  // CutBatch
#include <splitvit/compress/gather.hpp>     // gather_tokens
#include <splitvit/core/options.hpp>        // describe_options
#include <splitvit/core/random.hpp>         // Rng
#include <splitvit/tensor/tensor.hpp>       // Tensor

namespace splitvit::inline SPLITVIT_BUILD::compress {

/// Sends the tokens of each sample in a random order of its own, CLS first. Positions were added
/// before the first block, and no later block depends on the order, so the server's result stays
/// the same up to rounding. It hides the order only: a token still carries its position, and an
/// attacker can learn to read that.
///
/// Shapes  unchanged.
/// Grad    tokens only: each gets its own gradient.
/// Errors  ShapeError for an inconsistent batch.
struct ShuffleTokens {
  template <std::floating_point T>
  CutBatch<T> operator()(CutBatch<T> batch, Rng& rng) const {
    require_consistent("ShuffleTokens", batch);
    const Index B = batch.samples(), N = batch.token_count();
    Tensor<Index> order = Tensor<Index>::uninitialised({B, N});
    for (Index b = 0; b < B; ++b) {
      const auto row =
          order.span().subspan(static_cast<std::size_t>(b * N), static_cast<std::size_t>(N));
      std::iota(row.begin(), row.end(), Index{0});
      rng.shuffle(row.subspan(1));
    }
    return gather_tokens(std::move(batch), order);
  }

  static constexpr std::string_view name = "shuffle";
  static void each_option(auto&, auto&&) {}
  std::string description() const { return describe_options(*this); }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::compress
