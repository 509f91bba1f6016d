// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n

#include <splitvit/compress/cut_batch.hpp>          // CutBatch
#include <splitvit/compress/detail/linear_map.hpp>  // apply_to_tokens, Gather
#include <splitvit/core/workspace.hpp>              // RecycledVector
#include <splitvit/tensor/tensor.hpp>               // Tensor

namespace splitvit::inline SPLITVIT_BUILD::compress {

namespace detail {
/// Errors  std::invalid_argument, with `what`, unless the numbers are distinct and each is in
///         0..count-1.
inline void require_distinct(std::span<const Index> numbers, Index count, TextParts what) {
  RecycledVector<char> seen(static_cast<std::size_t>(count), 0);
  for (const Index number : numbers) {
    if (number < 0 || number >= count)
      throw ArgumentError({joined(what), " ", number, " of ", count});
    if (std::exchange(seen[static_cast<std::size_t>(number)], char{1}) != 0)
      throw ArgumentError({joined(what), " ", number, " comes twice"});
  }
}

/// Errors  as gather_tokens says.
inline void require_token_index(const Tensor<Index>& index, Index B, Index N) {
  const Shape& shape = index.shape();
  if (shape.rank() != 2 || shape[0] != B || shape[1] < 1 || shape[1] > N)
    throw ShapeError({"gather_tokens: index ", shape.text(), " for ", B, " samples of ", N,
                      " tokens: wanted (B, P), 1 <= P <= N"});
  const auto P = static_cast<std::size_t>(shape[1]);
  for (Index b = 0; b < B; ++b) {
    const auto row = index.span().subspan(static_cast<std::size_t>(b) * P, P);
    if (row[0] != 0)
      throw ArgumentError({"gather_tokens: sample ", b, ": the first token must be CLS, number 0"});
    require_distinct(row, N, {"gather_tokens: sample ", b, ": token"});
  }
}
}  // namespace detail

/// Keeps the tokens that you choose, sample by sample: result[b, p] = batch[b, index[b, p]].
///
/// Shapes  index (B, P), 1 <= P <= N; tokens (B, N, D) -> (B, P, D), cls_attention (B, N) ->
///         (B, P), token_sizes and statistics likewise.
/// Grad    tokens only. Kept tokens get their gradient, the others zero.
/// Errors  ShapeError; std::invalid_argument if an index is outside 0..N-1 or comes twice, or if
///         CLS (0) does not come first.
template <std::floating_point T>
CutBatch<T> gather_tokens(CutBatch<T> batch, const Tensor<Index>& index) {
  require_consistent("gather_tokens", batch);
  detail::require_token_index(index, batch.samples(), batch.token_count());
  detail::apply_to_tokens(batch, detail::Gather{index});
  return batch;
}

/// The same tokens, index (P), of every sample.
template <std::floating_point T>
CutBatch<T> gather_tokens(CutBatch<T> batch, std::span<const Index> index) {
  require_consistent("gather_tokens", batch);
  const auto P = static_cast<Index>(index.size());
  Tensor<Index> repeated = Tensor<Index>::uninitialised({batch.samples(), P});
  for (Index b = 0; b < batch.samples(); ++b) std::copy_n(index.data(), P, repeated.data() + b * P);
  return gather_tokens(std::move(batch), repeated);
}

/// Keeps the samples that you choose: result[k] = batch[index[k]].
///
/// Shapes  index (K); tokens (B, N, D) -> (K, N, D), cls_attention (B, N) -> (K, N), labels of B
///         rows -> K rows; sizes, token_sizes and statistics likewise.
/// Grad    tokens only. Kept samples get their gradient, the others zero.
/// Errors  std::invalid_argument if no sample is kept, or an index is outside 0..B-1 or comes
///         twice.
template <std::floating_point T>
CutBatch<T> gather_samples(CutBatch<T> batch, std::span<const Index> index) {
  require_consistent("gather_samples", batch);
  if (index.empty()) throw std::invalid_argument("gather_samples: no sample is kept");
  detail::require_distinct(index, batch.samples(), {"gather_samples: sample"});
  batch.labels = batch.labels.gather(index);
  if (!batch.sizes.empty()) {
    RecycledVector<Index> sizes;
    for (const Index sample : index) sizes.push_back(batch.sizes[static_cast<std::size_t>(sample)]);
    batch.sizes = std::move(sizes);
  }
  const Shape shape{static_cast<Index>(index.size())};
  detail::apply_to_tokens(batch, detail::Gather{Tensor<Index>{shape, index}});
  return batch;
}

SPLITVIT_ONCE(CutBatch<float> gather_tokens(CutBatch<float>, const Tensor<Index>&));
SPLITVIT_ONCE(CutBatch<float> gather_samples(CutBatch<float>, std::span<const Index>));

}  // namespace splitvit::inline SPLITVIT_BUILD::compress
