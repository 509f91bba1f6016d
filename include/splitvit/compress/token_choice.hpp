// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n, min, nth_element, sort
#include <cmath>      // sqrt
#include <numeric>    // iota

#include <splitvit/compress/cut_batch.hpp>  // CutBatch
#include <splitvit/compress/detail/points.hpp>  // Points, points_of, squared_distance, power_of_two_scale
#include <splitvit/core/options.hpp>            // names_of
#include <splitvit/core/parallel.hpp>           // parallel_for
#include <splitvit/core/random.hpp>             // Rng
#include <splitvit/core/workspace.hpp>          // RecycledVector
#include <splitvit/kernel/token_statistic.hpp>  // TokenStatistic
#include <splitvit/tensor/reduce.hpp>           // all_finite

namespace splitvit::inline SPLITVIT_BUILD::compress {

/// How tokens are chosen. `even` and `random` are controls: a useful score is better than both.
enum class TokenScore : std::uint8_t {
  attention,  ///< the attention of CLS to the token
  norm,       ///< the token's length
  deviation,  ///< the distance to the mean of all patches
  farthest,   ///< one by one, the distance to CLS and the tokens chosen before; O(B P N D)
  even,       ///< P - 1 evenly spaced positions
  random,     ///< drawn for each sample
  received,   ///< kernel::TokenStatistic::received
  value,      ///< kernel::TokenStatistic::value
  rollout,    ///< kernel::TokenStatistic::rollout
};

/// The statistic that a score needs besides the tokens and cls_attention.
inline kernel::TokenStatistic statistic_for(TokenScore score) {
  using kernel::TokenStatistic;
  return score == TokenScore::received  ? TokenStatistic::received
         : score == TokenScore::value   ? TokenStatistic::value
         : score == TokenScore::rollout ? TokenStatistic::rollout
                                        : TokenStatistic::none;
}

/// For each sample token 0 and the P - 1 tokens with the largest scores, in ascending order;
/// the lower token wins a tie.
///
/// Shapes  scores (B, N) -> (B, P), 1 <= P <= N; the score of token 0 is not used.
/// Errors  ShapeError; std::invalid_argument if a score is not finite.
template <std::floating_point T>
Tensor<Index> best_tokens(const Tensor<T>& scores, Index P) {
  if constexpr (!std::same_as<T, double>) {  // compiled once, for numbers that hold all others
    Tensor<double> wide = Tensor<double>::uninitialised(scores.shape());
    std::copy_n(scores.data(), scores.size(), wide.data());
    return best_tokens(wide, P);
  } else {
    if (scores.shape().rank() != 2 || P < 1 || P > scores.dim(1))
      throw ShapeError({"best_tokens: ", P, " tokens of scores ", scores.shape().text(),
                        ": wanted 1 to N of (B, N)"});
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
}

namespace detail {
inline constexpr auto score_names = names_of<TokenScore>({{"attention", TokenScore::attention},
                                                          {"norm", TokenScore::norm},
                                                          {"deviation", TokenScore::deviation},
                                                          {"farthest", TokenScore::farthest},
                                                          {"even", TokenScore::even},
                                                          {"random", TokenScore::random},
                                                          {"received", TokenScore::received},
                                                          {"value", TokenScore::value},
                                                          {"rollout", TokenScore::rollout}});

/// Calls each(b, points) with the tokens of every sample, on several threads.
///
/// Errors  std::invalid_argument if a token is not finite.
template <std::floating_point T, class Each>
void for_each_sample(const Tensor<T>& tokens, const Each& each) {
  if (!all_finite<T>(tokens.view()))
    throw std::invalid_argument("choose_tokens: a token is not finite");
  const Index N = tokens.dim(1), D = tokens.dim(2);
  const double unit = power_of_two_scale(tokens);
  parallel_for(tokens.dim(0), 1,
               [&](Index b, Index) { each(b, points_of(tokens.data() + b * N * D, N, D, unit)); });
}

/// The distance of each token (B, N, D) from zero or from the mean of the patches, up to a factor
/// that is the same for all: (B, N).
template <std::floating_point T>
Tensor<double> token_distances(const Tensor<T>& tokens, bool from_mean) {
  const Index N = tokens.dim(1);
  Tensor<double> distances{{tokens.dim(0), N}};
  for_each_sample(tokens, [&](Index b, const Points& x) {
    Points origin{1, x.width};
    const auto centre = origin.row(0);
    if (from_mean && N > 1) {
      for (Index j = 1; j < N; ++j)
        for (std::size_t d = 0; d < centre.size(); ++d) centre[d] += x.row(j)[d];
      for (double& value : centre) value /= static_cast<double>(N - 1);
    }
    for (Index j = 0; j < N; ++j)
      distances[b * N + j] = std::sqrt(squared_distance(x.row(j), centre));
  });
  return distances;
}

/// Of tokens (B, N, D) number 0, then repeatedly the one with the largest distance to the nearest
/// chosen one, the lowest of several; in ascending order: (B, P).
template <std::floating_point T>
Tensor<Index> farthest_tokens(const Tensor<T>& tokens, Index P) {
  Tensor<Index> out{{tokens.dim(0), P}};
  for_each_sample(tokens, [&](Index b, const Points& x) {
    constexpr double taken = -1.0;
    RecycledVector<double> nearest(at(x.count), std::numeric_limits<double>::infinity());
    Index* const chosen = out.data() + b * P;
    nearest[0] = taken;
    for (Index p = 1; p < P; ++p) {
      Index farthest = -1;
      for (Index j = 1; j < x.count; ++j) {
        double& distance = nearest[at(j)];
        if (distance == taken) continue;
        distance = std::min(distance, squared_distance(x.row(j), x.row(chosen[p - 1]), distance));
        if (farthest < 0 || distance > nearest[at(farthest)]) farthest = j;
      }
      nearest[at(farthest)] = taken;
      chosen[p] = farthest;
    }
    std::sort(chosen, chosen + P);
  });
  return out;
}

/// Token 0 and P - 1 evenly spaced ones, the same for all B samples: (B, P).
inline Tensor<Index> even_tokens(Index B, Index N, Index P) {
  Tensor<Index> out{{B, P}};
  for (Index b = 0; b < B; ++b)
    for (Index p = 1; p < P; ++p)  // the middle of piece p of the patches, cut into P - 1 pieces
      out[b * P + p] = 1 + (2 * p - 1) * (N - 1) / (2 * (P - 1));
  return out;
}

}  // namespace detail

/// Token 0 and P - 1 random ones of N, in ascending order, for each of B samples in turn: (B, P).
inline Tensor<Index> random_tokens(Index B, Index N, Index P, Rng& rng) {
  Tensor<Index> out{{B, P}};
  RecycledVector<Index> patches(static_cast<std::size_t>(N - 1));
  for (Index b = 0; b < B; ++b) {
    std::iota(patches.begin(), patches.end(), Index{1});
    rng.choose(std::span{patches}, P - 1);
    std::sort(patches.begin(), patches.begin() + (P - 1));
    std::copy_n(patches.begin(), P - 1, out.data() + b * P + 1);
  }
  return out;
}

/// The tokens that are left when a share of each sample's patches is dropped at random: token 0 and
/// at least one patch, (B, P) as above. Empty, and rng stays as it is, if no patch is dropped.
inline Tensor<Index> undropped_tokens(Index B, Index N, double share, Rng& rng) {
  const Index dropped = std::min(kept_count(share, N - 1), N - 2);
  return dropped > 0 ? random_tokens(B, N, N - dropped, rng) : Tensor<Index>{};
}

/// For each sample token 0 and the P - 1 best ones, in ascending order: (B, P), 1 <= P <= N. The
/// lower token wins a tie. Only `random` draws from rng.
///
/// Errors  ShapeError; std::invalid_argument if a number that decides is not finite, or the batch
///         lacks the statistics that this score needs.
template <std::floating_point T>
Tensor<Index> choose_tokens(const CutBatch<T>& batch, TokenScore score, Index P, Rng& rng) {
  require_consistent("choose_tokens", batch);
  const Index B = batch.samples(), N = batch.token_count();
  if (P < 1 || P > N) throw ShapeError({"choose_tokens: ", P, " of ", N, " tokens: wanted 1 to N"});
  const Tensor<T>& tokens = batch.tokens.value();
  switch (score) {
    case TokenScore::attention:
      return best_tokens(batch.cls_attention, P);
    case TokenScore::norm:
      return best_tokens(detail::token_distances(tokens, false), P);
    case TokenScore::deviation:
      return best_tokens(detail::token_distances(tokens, true), P);
    case TokenScore::farthest:
      return detail::farthest_tokens(tokens, P);
    case TokenScore::even:
      return detail::even_tokens(B, N, P);
    case TokenScore::random:
      return random_tokens(B, N, P, rng);
    case TokenScore::received:
    case TokenScore::value:
    case TokenScore::rollout:
      if (batch.statistics.empty() || batch.statistics.dim(2) != 1)
        throw ArgumentError({"choose_tokens: statistics ", batch.statistics.shape().text(),
                             ", wanted (B, N, 1) for score ", detail::score_names.text(score)});
      return best_tokens(batch.statistics.reshaped({B, N}), P);
  }
  throw std::invalid_argument("choose_tokens: no such score");
}

}  // namespace splitvit::inline SPLITVIT_BUILD::compress
