// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point
#include <string>    // string, to_string

#include <splitvit/autograd/variable.hpp>  // Variable
#include <splitvit/core/labels.hpp>        // Labels
#include <splitvit/core/workspace.hpp>     // RecycledVector
#include <splitvit/tensor/tensor.hpp>      // Tensor

// CutBatch: all that a compression stage sees, and all that it hands on.

namespace splitvit::compress {

/// A batch at the cut between client and server.
///
/// Shapes  tokens (B, N, D), token 0 is CLS; cls_attention (B, N); labels of B rows;
///         sizes (B) or empty; token_sizes (B, N) or empty; statistics (B, N, W) or empty.
/// Units   cls_attention: how the CLS token of the last client block looks at each token,
///         softmax probabilities averaged over heads; no gradient flows through it.
///         labels: the classes of each sample. A merged sample has the classes of its members.
///         sizes: how many samples a row stands for, and counts for in the loss; empty where
///         all rows count alike.
///         token_sizes: how many tokens of the stage that merged them a token stands for, at least
///         1; empty where the server need not know. Sent as whole numbers up to 255.
///         statistics: what the stage's required_statistic() has asked for, see
///         kernel/token_statistic.hpp; no gradient flows through them.
/// Grad    tokens only.
template <std::floating_point T>
struct CutBatch {
  Variable<T> tokens;
  Tensor<T> cls_attention;
  Labels labels;
  RecycledVector<Index> sizes = {};
  Tensor<T> token_sizes = {};
  Tensor<T> statistics = {};

  Index samples() const { return tokens.dim(0); }
  Index token_count() const { return tokens.dim(1); }
  Index width() const { return tokens.dim(2); }
};

/// Errors  ShapeError unless all parts describe the same batch, with at least one sample and
///         one token.
template <std::floating_point T>
void require_consistent(const char* operation, const CutBatch<T>& batch) {
  const Shape& x = batch.tokens.shape();
  const Shape& a = batch.cls_attention.shape();
  const bool fits = x.rank() == 3 && a.rank() == 2 && x[0] > 0 && x[1] > 0 && a[0] == x[0] &&
                    a[1] == x[1] && batch.labels.row_count() == x[0];
  if (!fits)
    throw ShapeError(std::string(operation) + ": tokens " + x.text() + ", cls_attention " +
                     a.text() + ", labels of " + std::to_string(batch.labels.row_count()) +
                     " rows: wanted (B, N, D), (B, N) and B rows with the same B and N");
  if (!batch.sizes.empty() && static_cast<Index>(batch.sizes.size()) != batch.samples())
    throw ShapeError(std::string(operation) + ": " + std::to_string(batch.sizes.size()) +
                     " sizes for " + std::to_string(batch.samples()) + " samples");
  if (!batch.token_sizes.empty() && batch.token_sizes.shape() != a)
    throw ShapeError(std::string(operation) + ": token_sizes " + batch.token_sizes.shape().text() +
                     " for tokens " + x.text() + ": wanted (B, N)");
  const Shape& statistics = batch.statistics.shape();
  if (!batch.statistics.empty() &&
      (statistics.rank() != 3 || statistics[0] != x[0] || statistics[1] != x[1]))
    throw ShapeError(std::string(operation) + ": statistics " + statistics.text() + " for tokens " +
                     x.text() + ": wanted (B, N, W)");
}

}  // namespace splitvit::compress
