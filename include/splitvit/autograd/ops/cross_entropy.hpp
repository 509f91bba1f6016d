// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>     // log
#include <concepts>  // floating_point
#include <span>      // span

#include <splitvit/autograd/variable.hpp>  // Variable, record
#include <splitvit/core/parallel.hpp>      // parallel_for
#include <splitvit/kernel/softmax.hpp>     // softmax_row

// cross_entropy: the mean over rows of -sum_c target_c log softmax(logits)_c.

namespace splitvit {

/// With soft labels, as torch.nn.functional.cross_entropy with class probabilities.
///
/// Shapes  logits (B, C), targets (B, C), B >= 1, C >= 1 -> (1).
/// Units   targets: class probabilities, each row sums to 1, or to how often its sample counts;
///         the loss is in nats.
/// Grad    logits only.
/// Errors  ShapeError.
template <std::floating_point T>
Variable<T> cross_entropy(const Variable<T>& logits, const Tensor<T>& targets) {
  const Shape& shape = logits.shape();
  if (shape.rank() != 2 || shape[0] < 1 || shape[1] < 1 || targets.shape() != shape)
    throw ShapeError("cross_entropy: logits " + shape.text() + ", targets " +
                     targets.shape().text() + ": wanted (B, C) twice");
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

/// One row a class id: 1 there, 0 elsewhere.
///
/// Shapes  ids (B) -> (B, classes).
/// Errors  std::invalid_argument for an id outside [0, classes).
template <std::floating_point T>
Tensor<T> one_hot(std::span<const Index> ids, Index classes) {
  Tensor<T> targets{Shape{static_cast<Index>(ids.size()), classes}};
  for (std::size_t b = 0; b < ids.size(); ++b) {
    if (ids[b] < 0 || ids[b] >= classes)
      throw std::invalid_argument("one_hot: class " + std::to_string(ids[b]) + " of sample " +
                                  std::to_string(b) + " is not among " + std::to_string(classes));
    targets[static_cast<Index>(b) * classes + ids[b]] = T{1};
  }
  return targets;
}

/// With class ids.
///
/// Shapes  logits (B, C), ids (B) -> (1).
/// Errors  as above; std::invalid_argument for an id outside [0, C).
template <std::floating_point T>
Variable<T> cross_entropy(const Variable<T>& logits, std::span<const Index> ids) {
  return cross_entropy(logits, one_hot<T>(ids, logits.shape().back()));
}

}  // namespace splitvit
