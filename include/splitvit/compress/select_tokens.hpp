// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy, copy_n, nth_element, sort
#include <concepts>   // floating_point
#include <numeric>    // iota
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/autograd/variable.hpp>     // record
#include <splitvit/compress/cut_batch.hpp>    // CutBatch
#include <splitvit/compress/detail/text.hpp>  // exact_text
#include <splitvit/compress/kept_count.hpp>   // kept_count, require_fraction
#include <splitvit/core/parallel.hpp>         // parallel_for
#include <splitvit/core/random.hpp>           // Rng
#include <splitvit/kernel/gather.hpp>         // gather_tokens, scatter_tokens
#include <splitvit/tensor/reduce.hpp>         // all_finite

// SelectTokens: sends of each sample the tokens that CLS looks at most. Letter: P tokens that
// stay, CLS included.

namespace splitvit::compress {

/// Keeps CLS and the tokens that it attends to most (ADC, second stage).
///
/// Shapes  tokens (B, N, D) -> (B, P, D), cls_attention (B, N) -> (B, P), targets as they
///         are, with P = max(1, floor(keep * N)), CLS included. P = 1 keeps CLS alone; P = N
///         returns the batch as it is, bit for bit. Each sample has its own choice.
/// Units   cls_attention: any score, larger is better; the kept entries are not rescaled.
///         Of equal scores the lower token wins. Order: CLS, then ascending token.
/// Grad    tokens only. Kept tokens get their gradient, the others zero.
/// Errors  std::invalid_argument if keep is outside (0, 1] or an attention value is not
///         finite; ShapeError if the three tensors do not describe one batch.
/// Source  arXiv:2509.15058, token selection; authors' code:
///         Federico-Alvetreti/Split-Learning_ADC, methods/proposal.py.
/// Differs Order and ties are fixed; the authors' code leaves both to an unsorted top-k.
struct SelectTokens {
  double keep = 0.5;  ///< fraction of the tokens that remains, CLS included, in (0, 1]

  template <std::floating_point T>
  CutBatch<T> operator()(CutBatch<T> batch, Rng& rng) const;

  /// What it does and with which options, on one line.
  std::string description() const { return "select_tokens keep=" + detail::exact_text(keep); }
};

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
    std::vector<Index> order(static_cast<std::size_t>(N));
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

/// Keeps the tokens that you choose, sample by sample: result[b, p] = batch[b, index[b, p]].
///
/// Shapes  index (B, P); tokens (B, N, D) -> (B, P, D), cls_attention (B, N) -> (B, P).
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
  std::vector<Index> last_seen_in(static_cast<std::size_t>(N), -1);
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
  const Variable<T> x = batch.tokens;
  batch.tokens = record<T>(detail::gather(x.value(), index, {B, P, D}, D), {x},
                           [x, index, D](const Tensor<T>&, const Tensor<T>& dy) {
                             // forward: y[b, p] = x[b, index[b, p]], so
                             // dx[b, index[b, p]] = dy[b, p], and zero elsewhere
                             x.add_gradient(detail::scatter(dy, index, x.shape(), D));
                           });
  return batch;
}

template <std::floating_point T>
CutBatch<T> SelectTokens::operator()(CutBatch<T> batch, Rng&) const {
  require_consistent("SelectTokens", batch);
  require_fraction("SelectTokens", keep);
  if (!all_finite<T>(batch.cls_attention.view()))
    throw std::invalid_argument("SelectTokens: an attention value is not finite");
  const Index N = batch.token_count();
  const Index P = kept_count(keep, N, 1);
  if (P == N) return batch;
  const Tensor<Index> best = best_tokens(batch.cls_attention, P);
  return gather_tokens(std::move(batch), best);
}

}  // namespace splitvit::compress
