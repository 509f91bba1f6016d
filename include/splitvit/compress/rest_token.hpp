// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n, fill, min_element
#include <cmath>      // isfinite
#include <numeric>    // accumulate

#include <splitvit/compress/cut_batch.hpp>          // CutBatch
#include <splitvit/compress/detail/linear_map.hpp>  // apply
#include <splitvit/compress/gather.hpp>             // gather_tokens, require_token_index
#include <splitvit/core/finite.hpp>                 // limited
#include <splitvit/core/options.hpp>                // names_of
#include <splitvit/core/parallel.hpp>               // parallel_for
#include <splitvit/core/workspace.hpp>              // RecycledVector
#include <splitvit/tensor/tensor.hpp>               // Tensor

namespace splitvit::inline SPLITVIT_BUILD::compress {

/// What happens to the set R of the tokens that are not kept.
enum class RestToken : std::uint8_t {
  none,       ///< they are dropped
  attention,  ///< they become one mean, weighted by the attention of CLS to them
  mean,       ///< they become one mean with equal weights
};

namespace detail {
inline constexpr auto rest_names = names_of<RestToken>(
    {{"none", RestToken::none}, {"attention", RestToken::attention}, {"mean", RestToken::mean}});

/// A linear map that keeps the tokens `index` (B, P), and appends the sum of all tokens, each times
/// its weight (B, N): (B, N, W) -> (B, P + 1, W).
struct GatherWithSum {
  Tensor<Index> index;
  Tensor<double> weights;

  /// Adds in ascending order in double precision.
  template <std::floating_point T>
  Tensor<T> forward(const Tensor<T>& x) const {
    const Index N = x.dim(1), W = x.dim(2), P = index.dim(1);
    Tensor<T> y = Tensor<T>::uninitialised(x.shape().with(1, P + 1));
    parallel_for(x.dim(0), 1, [&](Index b, Index) {
      const T* const in = x.data() + b * N * W;
      T* const out = y.data() + b * (P + 1) * W;
      for (Index p = 0; p < P; ++p) std::copy_n(in + index[b * P + p] * W, W, out + p * W);
      RecycledVector<double> sum(static_cast<std::size_t>(W));
      double* const s = sum.data();
      for (Index j = 0; j < N; ++j) {
        const double w = weights[b * N + j];
        if (w == 0.0) continue;
        for (Index d = 0; d < W; ++d) s[d] += w * static_cast<double>(in[j * W + d]);
      }
      for (Index d = 0; d < W; ++d) out[P * W + d] = limited(static_cast<T>(s[d]));
    });
    return y;
  }
  /// y_rest = sum of w_j x_j, so dx_j = w_j dy_rest; kept tokens get their own gradient.
  template <std::floating_point T>
  Tensor<T> backward(const Tensor<T>& dy, const Shape& shape) const {
    const Index N = shape[1], W = shape[2], P = index.dim(1);
    Tensor<T> dx = Tensor<T>::uninitialised(shape);
    parallel_for(shape[0], 1, [&](Index b, Index) {
      const T* const in = dy.data() + b * (P + 1) * W;
      T* const out = dx.data() + b * N * W;
      for (Index j = 0; j < N; ++j) {
        const double w = weights[b * N + j];
        for (Index d = 0; d < W; ++d)
          out[j * W + d] = static_cast<T>(w * static_cast<double>(in[P * W + d]));
      }
      for (Index p = 0; p < P; ++p) std::copy_n(in + p * W, W, out + index[b * P + p] * W);
    });
    return dx;
  }
};

/// Turns the attention (N) of one sample into the weights of its rest token, with zeros for the
/// tokens `kept`. Returns the sum of the attention over R.
inline double make_rest_weights(std::span<double> weights, std::span<const Index> kept,
                                RestToken rest) {
  const auto clear_kept = [&] {
    for (const Index token : kept) weights[static_cast<std::size_t>(token)] = 0.0;
  };
  clear_kept();
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (rest == RestToken::attention && sum > 0.0 && std::isfinite(sum) &&
      *std::min_element(weights.begin(), weights.end()) >= 0.0) {
    for (double& w : weights) w /= sum;
    return sum;
  }
  std::fill(weights.begin(), weights.end(),
            1.0 / static_cast<double>(weights.size() - kept.size()));
  clear_kept();
  return sum;
}
}  // namespace detail

/// Keeps the tokens that you choose, and appends one mean of all others: the sum over j in R of
/// w_j x_j, with w_j = a_j / (sum over R of a) for a = cls_attention, or 1 / |R|; also 1 / |R| if
/// that sum is 0 or an a_j is negative. With RestToken::none it is gather_tokens.
///
/// Shapes  index (B, P), P < N; tokens (B, N, D) -> (B, P + 1, D), cls_attention (B, N) ->
///         (B, P + 1): its last entry is the sum over R. The result has no statistics.
/// Grad    tokens only. A kept token gets its own gradient; token j of R gets w_j times the rest
///         token's.
/// Errors  as gather_tokens; also if all tokens are kept, or tokens were merged already.
template <std::floating_point T>
CutBatch<T> gather_with_rest(CutBatch<T> batch, const Tensor<Index>& index, RestToken rest) {
  if (rest == RestToken::none) return gather_tokens(std::move(batch), index);
  require_consistent("gather_with_rest", batch);
  const Index B = batch.samples(), N = batch.token_count();
  detail::require_token_index(index, B, N);
  const Index P = index.dim(1);
  if (P == N)
    throw ShapeError({"gather_with_rest: all ", N, " tokens are kept, none is left for the rest"});
  if (!batch.token_sizes.empty())
    throw std::invalid_argument("gather_with_rest: merged tokens have no rest token");
  Tensor<double> weights{{B, N}};
  std::copy_n(batch.cls_attention.data(), B * N, weights.data());
  Tensor<T> attention = Tensor<T>::uninitialised({B, P + 1});
  for (Index b = 0; b < B; ++b) {
    const auto kept = index.view().slice(b, b + 1).span();
    T* const out = attention.data() + b * (P + 1);
    for (Index p = 0; p < P; ++p) out[p] = batch.cls_attention[b * N + index[b * P + p]];
    const auto own_weights = weights.view().slice(b, b + 1).span();
    out[P] = limited(static_cast<T>(detail::make_rest_weights(own_weights, kept, rest)));
  }
  batch.cls_attention = std::move(attention);
  batch.statistics = {};
  batch.tokens = detail::apply(batch.tokens, detail::GatherWithSum{index, std::move(weights)});
  return batch;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::compress
