// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/compress/cut_batch.hpp>     // CutBatch, kept_count
#include <splitvit/compress/rest_token.hpp>    // RestToken, gather_with_rest
#include <splitvit/compress/token_choice.hpp>  // TokenScore, choose_tokens, best_tokens
#include <splitvit/core/options.hpp>           // fraction, Required, require_options
#include <splitvit/core/random.hpp>            // Rng
#include <splitvit/tensor/reduce.hpp>          // all_finite

namespace splitvit::inline SPLITVIT_BUILD::compress {

/// Keeps CLS and the tokens that it attends to most (ADC, second stage), or that are best in
/// another sense.
///
/// Shapes  tokens (B, N, D) -> (B, P, D), cls_attention (B, N) -> (B, P), labels as they are, with
///         P = max(1, floor(keep * N)). P = 1 keeps CLS alone; P = N returns the batch unchanged,
///         bit for bit. Order: CLS, then ascending token, then the rest token, one of the P.
/// Units   cls_attention: any score, larger is better; the kept entries are not rescaled. Of equal
///         scores the lower token wins.
/// Grad    tokens only. Kept tokens get their gradient, the others zero or, with a rest token,
///         their share of its gradient.
/// Errors  std::invalid_argument if keep is outside (0, 1], a number that decides is not finite,
///         the batch lacks the statistics that the score needs, or merged tokens are to get a rest
///         token; ShapeError for an inconsistent batch.
/// Source  arXiv:2509.15058, token selection; authors' code:
///         Federico-Alvetreti/Split-Learning_ADC, methods/proposal.py. Rest token: after TSFLora,
///         arXiv:2605.23988; weights and place are ours, as are the other scores.
/// Differs Order and ties are fixed; the authors' code leaves both to an unsorted top-k.
struct SelectTokens {
  double keep = 0.5;  ///< fraction of the tokens that remains, CLS included, in (0, 1]
  TokenScore score = TokenScore::attention;  ///< which ones
  RestToken rest = RestToken::none;          ///< what happens to the others

  template <std::floating_point T>
  CutBatch<T> operator()(CutBatch<T> batch, Rng& rng) const;

  kernel::TokenStatistic required_statistic() const { return statistic_for(score); }

  static constexpr std::string_view name = "select";
  static void each_option(auto& self, auto&& see) {
    see("", self.keep, Required{fraction("R")});
    see("score", self.score, detail::score_names);
    see("rest", self.rest, detail::rest_names);
  }
  std::string description() const { return describe_options(*this); }
};

template <std::floating_point T>
CutBatch<T> SelectTokens::operator()(CutBatch<T> batch, Rng& rng) const {
  require_consistent("SelectTokens", batch);
  require_options("SelectTokens", *this);
  if (!all_finite<T>(batch.cls_attention.view()))
    throw std::invalid_argument("SelectTokens: an attention value is not finite");
  const Index N = batch.token_count();
  const Index P = kept_count(keep, N, 1);
  if (P == N) return batch;
  const bool with_rest = rest != RestToken::none && P > 1;
  const Tensor<Index> chosen = choose_tokens(batch, score, with_rest ? P - 1 : P, rng);
  return gather_with_rest(std::move(batch), chosen, with_rest ? rest : RestToken::none);
}

SPLITVIT_ONCE(CutBatch<float> SelectTokens::operator()(CutBatch<float>, Rng&) const);

}  // namespace splitvit::inline SPLITVIT_BUILD::compress
