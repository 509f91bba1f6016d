// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min

#include <splitvit/autograd/variable.hpp>  // Variable
#include <splitvit/core/labels.hpp>        // Labels
#include <splitvit/core/workspace.hpp>     // RecycledVector
#include <splitvit/tensor/tensor.hpp>      // Tensor

namespace splitvit::inline SPLITVIT_BUILD::compress {

/// A batch at the cut between client and server, which a compression stage takes and returns.
///
/// Grad    tokens only.
template <std::floating_point T>
struct CutBatch {
  Variable<T> tokens;  ///< (B, N, D), token 0 is CLS
  /// (B, N): the attention of CLS to each token in the last client block, softmax probabilities
  /// averaged over heads.
  Tensor<T> cls_attention;
  Labels labels;  ///< B rows: the classes of each sample; a merged one has all of its members'
  /// (B), or empty if all are equal: the samples that a row stands for, its weight in the loss.
  RecycledVector<Index> sizes = {};
  /// (B, N), or empty if the server need not know: the tokens that a merged token stands for, at
  /// least 1. Sent as whole numbers up to 255.
  Tensor<T> token_sizes = {};
  Tensor<T> statistics = {};  ///< (B, N, W) or empty: the stage's required_statistic()

  Index samples() const { return tokens.dim(0); }
  Index token_count() const { return tokens.dim(1); }
  Index width() const { return tokens.dim(2); }
};

/// Errors  ShapeError unless all parts describe one batch, with a sample and a token.
template <std::floating_point T>
void require_consistent(const char* operation, const CutBatch<T>& batch) {
  const Shape& x = batch.tokens.shape();
  const Shape& attention = batch.cls_attention.shape();
  const Shape& statistics = batch.statistics.shape();
  const auto sizes = static_cast<Index>(batch.sizes.size());
  if (x.rank() == 3 && x[0] > 0 && x[1] > 0 && attention == Shape{x[0], x[1]} &&
      batch.labels.row_count() == x[0] && (sizes == 0 || sizes == x[0]) &&
      (batch.token_sizes.empty() || batch.token_sizes.shape() == attention) &&
      (batch.statistics.empty() || (statistics.rank() == 3 && statistics.with(2, x[2]) == x)))
    return;
  throw ShapeError({operation, ": tokens ", x.text(), ", cls_attention ", attention.text(),
                    ", labels of ", batch.labels.row_count(), " rows, ", sizes,
                    " sizes, token_sizes ", batch.token_sizes.shape().text(), ", statistics ",
                    statistics.text(),
                    ": wanted (B, N, D), (B, N), B rows and, or empty, B, (B, N), (B, N, W)"});
}

/// The whole part of ratio * count, both in double precision: of 100 things 0.29 keeps 28.
inline Index kept_count(double ratio, Index count) {
  return static_cast<Index>(ratio * static_cast<double>(count));
}

/// The same, but at least `least` and at most `count`.
inline Index kept_count(double ratio, Index count, Index least) {
  return std::min(count, std::max(least, kept_count(ratio, count)));
}

}  // namespace splitvit::inline SPLITVIT_BUILD::compress
