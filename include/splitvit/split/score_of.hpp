// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/ops/cross_entropy.hpp>  // cross_entropy
#include <splitvit/autograd/variable.hpp>           // NoGrad, Variable
#include <splitvit/core/labels.hpp>                 // Labels
#include <splitvit/nn/loss.hpp>                     // correct_rows
#include <splitvit/split/messages.hpp>              // Score

namespace splitvit::inline SPLITVIT_BUILD::split {

/// What an evaluation says of a batch. Shapes  logits (B, classes), labels: B rows.
template <std::floating_point T>
Score score_of(const Variable<T>& logits, const Labels& labels) {
  const NoGrad no_grad;
  const double mean = static_cast<double>(cross_entropy(logits, labels).value()[0]);
  return {.loss_sum = mean * static_cast<double>(labels.row_count()),
          .correct = nn::correct_rows(logits.value(), labels)};
}

}  // namespace splitvit::inline SPLITVIT_BUILD::split
