// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>   // floating_point
#include <stdexcept>  // invalid_argument
#include <string>     // string
#include <utility>    // move

#include <splitvit/compress/cut_batch.hpp>      // CutBatch
#include <splitvit/compress/gather_tokens.hpp>  // gather_tokens
#include <splitvit/compress/kept_count.hpp>     // kept_count, require_fraction
#include <splitvit/compress/rest_token.hpp>     // RestToken, gather_with_rest
#include <splitvit/compress/token_choice.hpp>   // TokenScore, choose_tokens, best_tokens
#include <splitvit/core/random.hpp>             // Rng
#include <splitvit/core/text.hpp>               // exact_text, name_of
#include <splitvit/tensor/reduce.hpp>           // all_finite

// SelectTokens: sends of each sample the tokens that CLS looks at most. Letter: P tokens that
// are sent, CLS included.

namespace splitvit::compress {

/// Keeps CLS and the tokens that it attends to most (ADC, second stage), or those that are best
/// in another sense.
///
/// Shapes  tokens (B, N, D) -> (B, P, D), cls_attention (B, N) -> (B, P), labels as they
///         are, with P = max(1, floor(keep * N)), CLS included. P = 1 keeps CLS alone; P = N
///         returns the batch as it is, bit for bit. Each sample has its own choice.
/// Units   cls_attention: any score, larger is better; the kept entries are not rescaled.
///         Of equal scores the lower token wins. Order: CLS, then ascending token, then the
///         rest token, which takes the place of the weakest one.
/// Grad    tokens only. Kept tokens get their gradient, the others zero or, with a rest token,
///         their share of its gradient.
/// Errors  std::invalid_argument if keep is outside (0, 1], or an attention value or a number
///         that decides is not finite, or the batch lacks the statistics that the score needs, or
///         tokens that already stand for several are to get a rest token;
///         ShapeError if the batch's parts do not describe one batch.
/// Source  arXiv:2509.15058, token selection; authors' code:
///         Federico-Alvetreti/Split-Learning_ADC, methods/proposal.py. Rest token: the idea of
///         TSFLora, arXiv:2605.23988; weights and place are ours, as are the other scores.
/// Differs Order and ties are fixed; the authors' code leaves both to an unsorted top-k.
struct SelectTokens {
  double keep = 0.5;  ///< fraction of the tokens that remains, CLS included, in (0, 1]
  TokenScore score = TokenScore::attention;  ///< which ones
  RestToken rest = RestToken::none;          ///< what becomes of the others

  template <std::floating_point T>
  CutBatch<T> operator()(CutBatch<T> batch, Rng& rng) const;

  kernel::TokenStatistic required_statistic() const { return statistic_for(score); }

  /// What it does and with which options, on one line.
  std::string description() const {
    return "select_tokens keep=" + exact_text(keep) +
           " score=" + name_of(detail::score_names, score) +
           " rest=" + name_of(detail::rest_names, rest);
  }
};

template <std::floating_point T>
CutBatch<T> SelectTokens::operator()(CutBatch<T> batch, Rng& rng) const {
  require_consistent("SelectTokens", batch);
  require_fraction("SelectTokens", keep);
  if (!all_finite<T>(batch.cls_attention.view()))
    throw std::invalid_argument("SelectTokens: an attention value is not finite");
  const Index N = batch.token_count();
  const Index P = kept_count(keep, N, 1);
  if (P == N) return batch;
  const bool with_rest = rest != RestToken::none && P > 1;
  const Tensor<Index> chosen = choose_tokens(batch, score, with_rest ? P - 1 : P, rng);
  return gather_with_rest(std::move(batch), chosen, with_rest ? rest : RestToken::none);
}

}  // namespace splitvit::compress
