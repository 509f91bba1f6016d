// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // any_of, sort
#include <cmath>      // isnan

#include <splitvit/core/error.hpp>  // ArgumentError
#include <splitvit/core/shape.hpp>  // Index

namespace splitvit::inline SPLITVIT_BUILD::leakage {

/// What somebody guesses, and whether it holds.
struct Guess {
  double score = 0;  ///< larger: rather true
  bool is_true = false;
};

/// The area under the ROC curve: how probable it is that a true guess has a higher score than a
/// false one, equal scores counting half. 0.5 is guessing.
///
/// Errors  std::invalid_argument unless there are both, and for a score that is NaN.
inline double area_under_curve(std::vector<Guess> guesses) {
  if (std::ranges::any_of(guesses, [](const Guess& guess) { return std::isnan(guess.score); }))
    throw ArgumentError({"area_under_curve: a score is NaN"});
  std::ranges::sort(guesses, {}, &Guess::score);
  double pairs = 0;
  Index below = 0, trues = 0;  // `below`: false guesses with a lower score
  for (std::size_t i = 0; i < guesses.size();) {
    Index true_here = 0, false_here = 0;
    for (const double score = guesses[i].score; i < guesses.size() && guesses[i].score == score;
         ++i)
      (guesses[i].is_true ? true_here : false_here) += 1;
    pairs += static_cast<double>(true_here) *
             (static_cast<double>(below) + static_cast<double>(false_here) / 2);
    below += false_here;
    trues += true_here;
  }
  if (trues == 0 || below == 0)
    throw ArgumentError(
        {"area_under_curve: ", trues, " true and ", below, " false guesses, wanted some of both"});
  return pairs / (static_cast<double>(trues) * static_cast<double>(below));
}

}  // namespace splitvit::inline SPLITVIT_BUILD::leakage
