// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // count, max_element
#include <numeric>    // accumulate

#include <splitvit/core/labels.hpp>    // Labels
#include <splitvit/core/text.hpp>      // counted
#include <splitvit/tensor/tensor.hpp>  // Tensor

namespace splitvit::inline SPLITVIT_BUILD::nn {

/// The class of the largest score of each row (B, C), C >= 1; the lowest class wins a tie.
/// Errors  ShapeError.
template <std::floating_point T>
std::vector<Index> argmax(const Tensor<T>& rows) {
  if (rows.shape().rank() != 2 || rows.dim(1) < 1)
    throw ShapeError({"argmax: ", rows.shape().text(), ": wanted (B, C), C >= 1"});
  const Index C = rows.dim(1);
  std::vector<Index> ids;
  for (const T* row = rows.data(); row != rows.data() + rows.size(); row += C)
    ids.push_back(std::max_element(row, row + C) - row);
  return ids;
}

/// For each row whether its largest score is at the right class, which for soft labels is the most
/// probable one. The lowest class wins a tie.
/// Shapes  logits (B, C), C >= 1, labels of B rows -> B values.
/// Errors  ShapeError.
template <std::floating_point T>
std::vector<bool> correct_rows(const Tensor<T>& logits, const Labels& labels) {
  if (logits.shape().rank() != 2 || logits.dim(1) < 1 || logits.dim(0) != labels.row_count())
    throw ShapeError({"correct_rows: logits ", logits.shape().text(), " for labels of ",
                      counted(labels.row_count(), "row")});
  std::vector<bool> correct;
  for (const Index predicted : argmax(logits))
    correct.push_back(predicted == labels.row(static_cast<Index>(correct.size())).argmax());
  return correct;
}

/// The number of these rows. Shapes, errors  as correct_rows.
template <std::floating_point T>
Index count_correct(const Tensor<T>& logits, const Labels& labels) {
  return std::ranges::count(correct_rows(logits, labels), true);
}

/// Weighs each row by its number of samples: scales row k of the targets by
/// sizes[k] * B / (sum of all sizes). Does nothing if sizes is empty.
/// Shapes  targets (B, C), sizes (B) or empty.
/// Errors  ShapeError.
template <std::floating_point T>
void apply_sample_weights(Tensor<T>& targets, std::span<const Index> sizes) {
  if (sizes.empty()) return;
  if (targets.shape().rank() != 2 || targets.dim(0) != static_cast<Index>(sizes.size()))
    throw ShapeError({"apply_sample_weights: targets ", targets.shape().text(), " with ",
                      sizes.size(), " sizes"});
  const auto all = static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), Index{0}));
  const Index C = targets.dim(1);
  for (std::size_t b = 0; b < sizes.size(); ++b) {
    const double weight = static_cast<double>(sizes[b]) * static_cast<double>(sizes.size()) / all;
    T* const row = targets.data() + static_cast<Index>(b) * C;
    for (Index c = 0; c < C; ++c) row[c] = static_cast<T>(weight * static_cast<double>(row[c]));
  }
}

SPLITVIT_ONCE(std::vector<Index> argmax(const Tensor<float>&));
SPLITVIT_ONCE(Index count_correct(const Tensor<float>&, const Labels&));

}  // namespace splitvit::inline SPLITVIT_BUILD::nn
