// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n, nth_element, sort
#include <array>      // array
#include <concepts>   // floating_point
#include <cstdint>    // uint8_t
#include <numeric>    // iota
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string

#include <splitvit/compress/cut_batch.hpp>            // CutBatch
#include <splitvit/compress/detail/choose.hpp>        // choose
#include <splitvit/compress/detail/token_scores.hpp>  // token_distances, farthest_tokens
#include <splitvit/core/parallel.hpp>                 // parallel_for
#include <splitvit/core/random.hpp>                   // Rng
#include <splitvit/core/text.hpp>                     // Named
#include <splitvit/core/workspace.hpp>                // RecycledVector
#include <splitvit/kernel/token_statistic.hpp>        // TokenStatistic
#include <splitvit/tensor/reduce.hpp>                 // all_finite

// choose_tokens: which tokens of each sample are worth sending. Letter: P tokens that are
// chosen, CLS included.

namespace splitvit::compress {

/// What a token must have to be chosen. `even` and `random` are controls that every other one
/// must beat.
enum class TokenScore : std::uint8_t {
  attention,  ///< CLS looks at it
  norm,       ///< it is long
  deviation,  ///< it is far from the mean of all patches
  farthest,   ///< it is far from CLS and from those chosen before it; O(B P N D)
  even,       ///< it lies at one of P - 1 evenly spaced positions
  random,     ///< luck, for each sample anew
  received,   ///< all tokens look at it; see kernel::TokenStatistic for this and the next two
  value,      ///< CLS gets much from it
  rollout,    ///< CLS looks at it through all blocks of the client
};

/// What a score needs to know that is neither in the tokens nor in cls_attention.
inline kernel::TokenStatistic statistic_for(TokenScore score) {
  switch (score) {
    case TokenScore::received:
      return kernel::TokenStatistic::received;
    case TokenScore::value:
      return kernel::TokenStatistic::value;
    case TokenScore::rollout:
      return kernel::TokenStatistic::rollout;
    default:
      return kernel::TokenStatistic::none;
  }
}

/// For each sample token 0 and the P - 1 tokens that are best in the sense of `score`, in
/// ascending order; the lower token wins a tie. Only `random` draws from rng.
///
/// Shapes  tokens (B, N, D), cls_attention (B, N) -> (B, P), 1 <= P <= N.
/// Errors  ShapeError if P is outside 1..N; std::invalid_argument if a number that decides is
///         not finite, or the batch lacks the statistics that this score needs.
template <std::floating_point T>
Tensor<Index> choose_tokens(const CutBatch<T>& batch, TokenScore score, Index P, Rng& rng);

/// For each sample token 0 and the P - 1 tokens with the largest scores, in ascending order;
/// the lower token wins a tie.
///
/// Shapes  scores (B, N) -> (B, P), 1 <= P <= N; the score of token 0 plays no role.
/// Errors  ShapeError if scores is no (B, N) or P is outside 1..N; std::invalid_argument if a
///         score is not finite.
template <std::floating_point T>
Tensor<Index> best_tokens(const Tensor<T>& scores, Index P) {
  if (scores.shape().rank() != 2 || P < 1 || P > scores.dim(1))
    throw ShapeError("best_tokens: " + std::to_string(P) + " tokens of scores " +
                     scores.shape().text() + ": wanted 1 to N of (B, N)");
  if (!all_finite<T>(scores.view()))
    throw std::invalid_argument("best_tokens: a score is not finite");
  const Index B = scores.dim(0), N = scores.dim(1);
  Tensor<Index> best = Tensor<Index>::uninitialised({B, P});
  parallel_for(B, 8, [&](Index begin, Index end) {
    RecycledVector<Index> order(static_cast<std::size_t>(N));
    for (Index b = begin; b < end; ++b) {
      const T* const score = scores.data() + b * N;
      std::iota(order.begin(), order.end(), Index{0});
      std::nth_element(order.begin() + 1, order.begin() + P, order.end(), [=](Index i, Index j) {
        return score[i] > score[j] || (score[i] == score[j] && i < j);
      });
      std::sort(order.begin(), order.begin() + P);
      std::copy_n(order.begin(), P, best.data() + b * P);
    }
  });
  return best;
}

namespace detail {

inline constexpr std::array<Named<TokenScore>, 9> score_names{{{"attention", TokenScore::attention},
                                                               {"norm", TokenScore::norm},
                                                               {"deviation", TokenScore::deviation},
                                                               {"farthest", TokenScore::farthest},
                                                               {"even", TokenScore::even},
                                                               {"random", TokenScore::random},
                                                               {"received", TokenScore::received},
                                                               {"value", TokenScore::value},
                                                               {"rollout", TokenScore::rollout}}};

/// Token 0 and P - 1 evenly spaced ones, the same for all B samples: (B, P).
inline Tensor<Index> even_tokens(Index B, Index N, Index P) {
  Tensor<Index> out{{B, P}};
  for (Index b = 0; b < B; ++b)
    for (Index p = 1; p < P; ++p)  // the middle of piece p of the patches, cut into P - 1 pieces
      out[b * P + p] = 1 + (2 * p - 1) * (N - 1) / (2 * (P - 1));
  return out;
}

/// Token 0 and P - 1 drawn ones, for each of B samples in turn: (B, P).
inline Tensor<Index> random_tokens(Index B, Index N, Index P, Rng& rng) {
  Tensor<Index> out{{B, P}};
  RecycledVector<Index> patches(static_cast<std::size_t>(N - 1));
  for (Index b = 0; b < B; ++b) {
    std::iota(patches.begin(), patches.end(), Index{1});
    choose(patches, P - 1, rng);
    std::copy_n(patches.begin(), P - 1, out.data() + b * P + 1);
  }
  return out;
}

}  // namespace detail

template <std::floating_point T>
Tensor<Index> choose_tokens(const CutBatch<T>& batch, TokenScore score, Index P, Rng& rng) {
  require_consistent("choose_tokens", batch);
  const Index B = batch.samples(), N = batch.token_count();
  if (P < 1 || P > N)
    throw ShapeError("choose_tokens: " + std::to_string(P) + " of " + std::to_string(N) +
                     " tokens: wanted 1 to N");
  const Tensor<T>& tokens = batch.tokens.value();
  const bool reads_tokens =
      score == TokenScore::norm || score == TokenScore::deviation || score == TokenScore::farthest;
  if (reads_tokens && !all_finite<T>(tokens.view()))
    throw std::invalid_argument("choose_tokens: a token is not finite");
  switch (score) {
    case TokenScore::attention:
      return best_tokens(batch.cls_attention, P);
    case TokenScore::norm:
      return best_tokens(detail::token_distances(tokens, detail::From::zero), P);
    case TokenScore::deviation:
      return best_tokens(detail::token_distances(tokens, detail::From::mean_of_patches), P);
    case TokenScore::farthest:
      return detail::farthest_tokens(tokens, P);
    case TokenScore::even:
      return detail::even_tokens(B, N, P);
    case TokenScore::random:
      return detail::random_tokens(B, N, P, rng);
    case TokenScore::received:
    case TokenScore::value:
    case TokenScore::rollout:
      if (batch.statistics.empty() || batch.statistics.dim(2) != 1)
        throw std::invalid_argument("choose_tokens: statistics " + batch.statistics.shape().text() +
                                    ": score " + std::string{name_of(detail::score_names, score)} +
                                    " wants those that its statistic_for() names, (B, N, 1)");
      return best_tokens(batch.statistics.reshaped({B, N}), P);
  }
  throw std::invalid_argument("choose_tokens: no such score");
}

}  // namespace splitvit::compress
