// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n, fill
#include <array>      // array
#include <cmath>      // isfinite
#include <concepts>   // floating_point
#include <cstddef>    // size_t
#include <cstdint>    // uint8_t
#include <stdexcept>  // invalid_argument
#include <string>     // to_string
#include <utility>    // move

#include <splitvit/autograd/variable.hpp>       // record
#include <splitvit/compress/cut_batch.hpp>      // CutBatch
#include <splitvit/compress/detail/finite.hpp>  // finite
#include <splitvit/compress/gather_tokens.hpp>  // gather_tokens
#include <splitvit/core/parallel.hpp>           // parallel_for
#include <splitvit/core/text.hpp>               // Named
#include <splitvit/core/workspace.hpp>          // RecycledVector
#include <splitvit/tensor/tensor.hpp>           // Tensor

// The rest token: one mean of all tokens that are not kept, so that they are not lost.
// Letters: P tokens that are kept, CLS included; R, the set of the others.

namespace splitvit::compress {

/// What becomes of the tokens that are not kept.
enum class RestToken : std::uint8_t {
  none,       ///< nothing
  attention,  ///< a mean in which each counts as much as CLS looks at it
  mean,       ///< a mean in which all count alike
};

/// Keeps the tokens that you choose, and behind them one mean of all others.
///
///   rest = sum over j in R of w_j x_j, with w_j = a_j / (sum over R of a), or 1 / |R|
///
/// where a is cls_attention. Weights are 1 / |R|, too, where this sum is 0 or an a_j is negative.
///
/// Shapes  index (B, P), P < N; tokens (B, N, D) -> (B, P + 1, D), cls_attention (B, N) ->
///         (B, P + 1): its last entry is the sum over R. With RestToken::none it is
///         gather_tokens, and returns P tokens. A rest token has no statistics: the batch loses
///         them.
/// Grad    tokens only. Kept tokens get their gradient, token j of R gets w_j times that of the
///         rest token.
/// Errors  as gather_tokens; ShapeError if no token is left for the rest; std::invalid_argument if
///         tokens already stand for several.
template <std::floating_point T>
CutBatch<T> gather_with_rest(CutBatch<T> batch, const Tensor<Index>& index, RestToken rest);

namespace detail {

inline constexpr std::array<Named<RestToken>, 3> rest_names{
    {{"none", RestToken::none}, {"attention", RestToken::attention}, {"mean", RestToken::mean}}};

/// What each token counts in the rest token; 0 for those that are kept.
struct RestWeights {
  Tensor<double> of_token;  ///< (B, N)
  Tensor<double> sum;       ///< (B): of cls_attention over R
};

template <std::floating_point T>
RestWeights rest_weights(const Tensor<T>& attention, const Tensor<Index>& index, RestToken rest) {
  const Index B = index.dim(0), P = index.dim(1), N = attention.dim(1);
  RestWeights out{Tensor<double>{{B, N}}, Tensor<double>{{B}}};
  RecycledVector<char> kept(static_cast<std::size_t>(N));
  for (Index b = 0; b < B; ++b) {
    const T* const a = attention.data() + b * N;
    double* const w = out.of_token.data() + b * N;
    std::ranges::fill(kept, char{0});
    for (Index p = 0; p < P; ++p) kept[static_cast<std::size_t>(index[b * P + p])] = 1;
    double& sum = out.sum[b];
    bool usable = rest == RestToken::attention;
    for (Index j = 0; j < N; ++j) {
      if (kept[static_cast<std::size_t>(j)] != 0) continue;
      sum += static_cast<double>(a[j]);
      usable = usable && a[j] >= T{};
    }
    usable = usable && sum > 0.0 && std::isfinite(sum);
    const double equal = 1.0 / static_cast<double>(N - P);
    for (Index j = 0; j < N; ++j)
      if (kept[static_cast<std::size_t>(j)] == 0)
        w[j] = usable ? static_cast<double>(a[j]) / sum : equal;
  }
  return out;
}

/// y (B, P + 1, D): tokens `index` (B, P) of x (B, N, D), then the sum of all, each times its
/// weight (B, N). Added in ascending order in double precision.
template <std::floating_point T>
Tensor<T> with_weighted_sum(const Tensor<T>& x, const Tensor<Index>& index,
                            const Tensor<double>& weights) {
  const Index N = x.dim(1), D = x.dim(2), P = index.dim(1);
  Tensor<T> y = Tensor<T>::uninitialised({x.dim(0), P + 1, D});
  parallel_for(x.dim(0), 1, [&](Index b, Index) {
    const T* const in = x.data() + b * N * D;
    T* const out = y.data() + b * (P + 1) * D;
    for (Index p = 0; p < P; ++p) std::copy_n(in + index[b * P + p] * D, D, out + p * D);
    RecycledVector<double> sum(static_cast<std::size_t>(D));
    for (Index j = 0; j < N; ++j) {
      const double w = weights[b * N + j];
      if (w == 0.0) continue;
      for (Index d = 0; d < D; ++d)
        sum[static_cast<std::size_t>(d)] += w * static_cast<double>(in[j * D + d]);
    }
    for (Index d = 0; d < D; ++d) out[P * D + d] = finite<T>(sum[static_cast<std::size_t>(d)]);
  });
  return y;
}

/// Its gradient: dx (B, N, D), given that shape, from dy (B, P + 1, D).
template <std::floating_point T>
Tensor<T> spread_weighted_sum(const Tensor<T>& dy, const Tensor<Index>& index,
                              const Tensor<double>& weights, const Shape& shape) {
  const Index N = shape[1], D = shape[2], P = index.dim(1);
  Tensor<T> dx = Tensor<T>::uninitialised(shape);
  parallel_for(shape[0], 1, [&](Index b, Index) {
    const T* const in = dy.data() + b * (P + 1) * D;
    T* const out = dx.data() + b * N * D;
    for (Index j = 0; j < N; ++j) {
      const double w = weights[b * N + j];
      for (Index d = 0; d < D; ++d)
        out[j * D + d] = static_cast<T>(w * static_cast<double>(in[P * D + d]));
    }
    for (Index p = 0; p < P; ++p) std::copy_n(in + p * D, D, out + index[b * P + p] * D);
  });
  return dx;
}

}  // namespace detail

template <std::floating_point T>
CutBatch<T> gather_with_rest(CutBatch<T> batch, const Tensor<Index>& index, RestToken rest) {
  if (rest == RestToken::none) return gather_tokens(std::move(batch), index);
  require_consistent("gather_with_rest", batch);
  const Index B = batch.samples(), N = batch.token_count();
  detail::require_token_index(index, B, N);
  const Index P = index.dim(1);
  if (P == N)
    throw ShapeError("gather_with_rest: all " + std::to_string(N) +
                     " tokens are kept, none is left for the rest");
  detail::RestWeights weights = detail::rest_weights(batch.cls_attention, index, rest);
  if (!batch.token_sizes.empty())
    throw std::invalid_argument(
        "gather_with_rest: tokens that already stand for several have no rest token");
  Tensor<T> attention = Tensor<T>::uninitialised({B, P + 1});
  for (Index b = 0; b < B; ++b) {
    for (Index p = 0; p < P; ++p)
      attention[b * (P + 1) + p] = batch.cls_attention[b * N + index[b * P + p]];
    attention[b * (P + 1) + P] = detail::finite<T>(weights.sum[b]);
  }
  batch.cls_attention = std::move(attention);
  batch.statistics = {};
  const Variable<T> x = batch.tokens;
  Tensor<T> y = detail::with_weighted_sum(x.value(), index, weights.of_token);
  // forward: y_rest = sum of w_j x_j, so dx_j = w_j dy_rest; kept tokens are copied
  batch.tokens =
      record<T>(std::move(y), {x},
                [x, index, w = std::move(weights.of_token)](const Tensor<T>&, const Tensor<T>& dy) {
                  x.add_gradient(detail::spread_weighted_sum(dy, index, w, x.shape()));
                });
  return batch;
}

}  // namespace splitvit::compress
