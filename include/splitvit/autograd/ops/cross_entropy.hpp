// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>  // log

#include <splitvit/autograd/variable.hpp>  // Variable, record
#include <splitvit/core/labels.hpp>        // Labels
#include <splitvit/kernel/vector_ops.hpp>  // softmax_row

namespace splitvit::inline SPLITVIT_BUILD {

/// The mean over rows of -sum_c target_c log softmax(logits)_c, as
/// torch.nn.functional.cross_entropy with class probabilities.
///
/// Shapes  logits (B, C), targets (B, C), B >= 1, C >= 1 -> (1).
/// Units   targets: class probabilities, each row sums to 1, or to the weight of its sample;
///         the loss is in nats.
/// Grad    logits only.
/// Errors  ShapeError.
template <std::floating_point T>
Variable<T> cross_entropy(const Variable<T>& logits, const Tensor<T>& targets) {
  const Shape& shape = logits.shape();
  if (shape.rank() != 2 || shape[0] < 1 || shape[1] < 1 || targets.shape() != shape)
    throw ShapeError(
        {"cross_entropy: logits ", shape, ", targets ", targets.shape(), ": wanted (B, C) twice"});
  const Index B = shape[0], C = shape[1];
  Tensor<T> probabilities = Tensor<T>::uninitialised(shape);
  double loss = 0;
  for (Index b = 0; b < B; ++b) {
    const T* row = logits.value().data() + b * C;
    const T* target = targets.data() + b * C;
    const T log_sum = kernel::softmax_row(row, probabilities.data() + b * C, C);
    // -log softmax = log sum exp - logit, which stays finite where softmax rounds to zero
    for (Index c = 0; c < C; ++c)
      loss += static_cast<double>(target[c]) *
              (static_cast<double>(log_sum) - static_cast<double>(row[c]));
  }
  return record(
      Tensor<T>::full(Shape{1}, static_cast<T>(loss / static_cast<double>(B))), {logits},
      [logits, targets, B, C, p = std::move(probabilities)](const Tensor<T>&, const Tensor<T>& dy) {
        // forward: -sum t log softmax, so dx = (p sum t - t) / B
        Tensor<T> dx = Tensor<T>::uninitialised(logits.shape());
        const T share = dy[0] / static_cast<T>(B);
        for (Index b = 0; b < B; ++b) {
          const T* target = targets.data() + b * C;
          T weight{};
          for (Index c = 0; c < C; ++c) weight += target[c];
          for (Index i = b * C; i < (b + 1) * C; ++i) dx[i] = share * (p[i] * weight - targets[i]);
        }
        logits.add_gradient(std::move(dx));
      });
}

/// The labels' probabilities: T(count_c) / T(sum of the row's counts), or T(weight_c).
///
/// Shapes  labels of B rows -> (B, classes).
/// Errors  std::invalid_argument for a class id that is not below `classes`; ShapeError for
///         a negative number of classes.
template <std::floating_point T>
Tensor<T> target_rows(const Labels& labels, Index classes) {
  labels.require_classes("target_rows", classes);
  Tensor<T> targets{Shape{labels.row_count(), classes}};
  for (Index b = 0; b < labels.row_count(); ++b) {
    const Labels::Row row = labels.row(b);
    const T total = static_cast<T>(row.total());
    T* const target = targets.data() + b * classes;
    for (std::size_t i = 0; i < row.classes.size(); ++i)
      target[row.classes[i]] = labels.is_weighted() ? static_cast<T>(row.weights[i])
                                                    : static_cast<T>(row.counts[i]) / total;
  }
  return targets;
}

/// Shapes  logits (B, C), labels of B rows -> (1).
/// Errors  as above; std::invalid_argument for a class id that is not below C.
template <std::floating_point T>
Variable<T> cross_entropy(const Variable<T>& logits, const Labels& labels) {
  return cross_entropy(logits, target_rows<T>(labels, logits.shape().back()));
}

SPLITVIT_ONCE(Variable<float> cross_entropy(const Variable<float>&, const Tensor<float>&));
SPLITVIT_ONCE(Tensor<float> target_rows<float>(const Labels&, Index));
SPLITVIT_ONCE(Variable<float> cross_entropy(const Variable<float>&, const Labels&));

}  // namespace splitvit::inline SPLITVIT_BUILD
