// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max_element
#include <concepts>   // floating_point
#include <span>       // span

#include <splitvit/autograd/ops/cross_entropy.hpp>  // cross_entropy, one_hot
#include <splitvit/tensor/tensor.hpp>               // Tensor

// What a model's scores are worth: the loss to train on, and how many were right.

namespace splitvit::nn {

/// How many rows have their largest score at the right class; the lowest class wins a tie.
///
/// Shapes  logits (B, C), ids (B).
/// Errors  ShapeError.
template <std::floating_point T>
Index count_correct(const Tensor<T>& logits, std::span<const Index> ids) {
  if (logits.shape().rank() != 2 || logits.dim(0) != static_cast<Index>(ids.size()))
    throw ShapeError("count_correct: logits " + logits.shape().text() + " for " +
                     std::to_string(ids.size()) + " class ids");
  const Index C = logits.dim(1);
  Index correct = 0;
  for (Index b = 0; b < logits.dim(0); ++b) {
    const T* row = logits.data() + b * C;
    if (std::max_element(row, row + C) - row == ids[static_cast<std::size_t>(b)]) ++correct;
  }
  return correct;
}

}  // namespace splitvit::nn
