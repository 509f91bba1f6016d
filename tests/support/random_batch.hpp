// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>     // exp
#include <concepts>  // floating_point
#include <vector>    // vector

#include <splitvit/compress/cut_batch.hpp>  // CutBatch
#include <splitvit/core/random.hpp>         // Rng

#include "support/numbers.hpp"  // drawn, equal_bits

// Batches at the cut with drawn numbers, for tests of stages.

namespace splitvit::test {

struct BatchSizes {
  Index samples = 8;
  Index tokens = 17;
  Index width = 6;
  Index classes = 5;
};

/// Rows that look like CLS attention: softmax of drawn numbers.
template <std::floating_point T>
Tensor<T> random_attention(Index B, Index N, Rng& rng) {
  Tensor<T> out{{B, N}};
  for (Index b = 0; b < B; ++b) {
    double sum = 0.0;
    Tensor<double> row{{N}};
    for (double& value : row.span()) sum += value = std::exp(1.5 * rng.normal());
    for (Index j = 0; j < N; ++j) out[b * N + j] = static_cast<T>(row[j] / sum);
  }
  return out;
}

/// Tokens that collect a gradient, softmax attention, which is also the tokens' statistic, one
/// class for each sample.
template <std::floating_point T>
compress::CutBatch<T> random_batch(const BatchSizes& sizes, Rng& rng) {
  const auto [B, N, D, C] = sizes;
  compress::CutBatch<T> batch{
      Variable<T>::parameter(drawn<T>({B, N, D}, rng)), random_attention<T>(B, N, rng), {}};
  std::vector<Index> ids;
  for (Index b = 0; b < B; ++b) ids.push_back(rng.below(C));
  batch.labels = ids;
  batch.statistics = batch.cls_attention.reshaped({B, N, 1});
  return batch;
}

template <std::floating_point T>
bool equal_bits(const compress::CutBatch<T>& a, const compress::CutBatch<T>& b) {
  return equal_bits(a.tokens.value(), b.tokens.value()) &&
         equal_bits(a.cls_attention, b.cls_attention) && a.labels == b.labels;
}

}  // namespace splitvit::test
