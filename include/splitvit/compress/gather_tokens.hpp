// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy
#include <concepts>   // floating_point
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <utility>    // move

#include <splitvit/autograd/variable.hpp>   // record
#include <splitvit/compress/cut_batch.hpp>  // CutBatch
#include <splitvit/core/workspace.hpp>      // RecycledVector
#include <splitvit/kernel/gather.hpp>       // gather_tokens, scatter_tokens
#include <splitvit/tensor/tensor.hpp>       // Tensor

// gather_tokens: a batch with some of its tokens, gradient included; for stages that choose
// tokens. Letter: P tokens that stay, CLS included.

namespace splitvit::compress {

/// Keeps the tokens that you choose, sample by sample: result[b, p] = batch[b, index[b, p]].
///
/// Shapes  index (B, P); tokens (B, N, D) -> (B, P, D), cls_attention (B, N) -> (B, P),
///         token_sizes and statistics likewise.
/// Grad    tokens only. Kept tokens get their gradient, the others zero.
/// Errors  ShapeError if index is no (B, P) with 1 <= P <= N; std::invalid_argument if an
///         index is outside 0..N-1 or comes twice, or if CLS (0) does not come first.
template <std::floating_point T>
CutBatch<T> gather_tokens(CutBatch<T> batch, const Tensor<Index>& index);

/// The same tokens of every sample.
///
/// Shapes  index (P).
template <std::floating_point T>
CutBatch<T> gather_tokens(CutBatch<T> batch, std::span<const Index> index) {
  require_consistent("gather_tokens", batch);
  const auto P = static_cast<Index>(index.size());
  Tensor<Index> repeated = Tensor<Index>::uninitialised({batch.samples(), P});
  for (Index b = 0; b < batch.samples(); ++b) std::ranges::copy(index, repeated.data() + b * P);
  return gather_tokens(std::move(batch), repeated);
}

namespace detail {

/// Errors  as gather_tokens says.
inline void require_token_index(const Tensor<Index>& index, Index B, Index N) {
  const Shape& shape = index.shape();
  if (shape.rank() != 2 || shape[0] != B || shape[1] < 1 || shape[1] > N)
    throw ShapeError("gather_tokens: index " + shape.text() + " for " + std::to_string(B) +
                     " samples of " + std::to_string(N) + " tokens: wanted (B, P), 1 <= P <= N");
  const auto refuse = [](Index b, const std::string& text) {
    throw std::invalid_argument("gather_tokens: sample " + std::to_string(b) + ": " + text);
  };
  const Index P = shape[1];
  RecycledVector<Index> last_seen_in(static_cast<std::size_t>(N), -1);
  for (Index b = 0; b < B; ++b) {
    if (index[b * P] != 0) refuse(b, "the first token must be CLS, number 0");
    for (Index p = 0; p < P; ++p) {
      const Index token = index[b * P + p];
      if (token < 0 || token >= N)
        refuse(b, "token " + std::to_string(token) + " of " + std::to_string(N));
      Index& seen = last_seen_in[static_cast<std::size_t>(token)];
      if (seen == b) refuse(b, "token " + std::to_string(token) + " comes twice");
      seen = b;
    }
  }
}

/// x (B, N, W) -> (B, P, W)
template <std::floating_point T>
Tensor<T> gather(const Tensor<T>& x, const Tensor<Index>& index, const Shape& shape, Index W) {
  Tensor<T> y = Tensor<T>::uninitialised(shape);
  kernel::gather_tokens<T>(x.span(), y.span(), x.dim(1), index.dim(1), W, index.span());
  return y;
}

/// dy (B, P, W) -> (B, N, W), given the latter shape
template <std::floating_point T>
Tensor<T> scatter(const Tensor<T>& dy, const Tensor<Index>& index, const Shape& shape, Index W) {
  Tensor<T> dx = Tensor<T>::uninitialised(shape);
  kernel::scatter_tokens<T>(dy.span(), dx.span(), shape[1], index.dim(1), W, index.span());
  return dx;
}

}  // namespace detail

template <std::floating_point T>
CutBatch<T> gather_tokens(CutBatch<T> batch, const Tensor<Index>& index) {
  require_consistent("gather_tokens", batch);
  const Index B = batch.samples(), D = batch.width();
  detail::require_token_index(index, B, batch.token_count());
  const Index P = index.dim(1);
  batch.cls_attention = detail::gather(batch.cls_attention, index, {B, P}, 1);
  if (!batch.token_sizes.empty())
    batch.token_sizes = detail::gather(batch.token_sizes, index, {B, P}, 1);
  if (const Index W = batch.statistics.empty() ? 0 : batch.statistics.dim(2); W > 0)
    batch.statistics = detail::gather(batch.statistics, index, {B, P, W}, W);
  const Variable<T> x = batch.tokens;
  batch.tokens = record<T>(detail::gather(x.value(), index, {B, P, D}, D), {x},
                           [x, index, D](const Tensor<T>&, const Tensor<T>& dy) {
                             // forward: y[b, p] = x[b, index[b, p]], so
                             // dx[b, index[b, p]] = dy[b, p], and zero elsewhere
                             x.add_gradient(detail::scatter(dy, index, x.shape(), D));
                           });
  return batch;
}

}  // namespace splitvit::compress
