// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n
#include <concepts>   // floating_point
#include <numeric>    // iota
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <utility>    // move

#include <splitvit/autograd/variable.hpp>       // record
#include <splitvit/compress/cut_batch.hpp>      // CutBatch
#include <splitvit/compress/detail/choose.hpp>  // choose
#include <splitvit/compress/kept_count.hpp>     // kept_count, require_fraction
#include <splitvit/core/random.hpp>             // Rng
#include <splitvit/core/text.hpp>               // exact_text
#include <splitvit/core/workspace.hpp>          // RecycledVector
#include <splitvit/kernel/gather.hpp>           // gather_tokens, scatter_tokens

// DropSamples: sends some samples of a batch, chosen by chance, and forgets the others. A
// control: whatever merges samples must teach the model more than this does, at equal bytes.
// Letter: K samples that stay.

namespace splitvit::compress {

/// Keeps a random part of the batch.
///
/// Shapes  tokens (B, N, D) -> (K, N, D), cls_attention (B, N) -> (K, N), labels of B
///         rows -> K rows, with K = max(min_samples, floor(keep * B)), at most B: as many as
///         MergeSamples sends. Order: ascending. K = B returns the batch as it is, bit for bit.
/// Grad    tokens only. Kept samples get their gradient, the others zero.
/// Errors  std::invalid_argument if an option is outside its range; ShapeError if the batch's
///         parts do not describe one batch.
struct DropSamples {
  double keep = 0.5;      ///< fraction of the batch that remains, in (0, 1]
  Index min_samples = 2;  ///< never fewer than this, if B allows it

  template <std::floating_point T>
  CutBatch<T> operator()(CutBatch<T> batch, Rng& rng) const;

  /// What it does and with which options, on one line.
  std::string description() const {
    return "drop_samples keep=" + exact_text(keep) + " min_samples=" + exact_text(min_samples);
  }
};

namespace detail {

/// Errors  as gather_samples says.
inline void require_sample_index(std::span<const Index> index, Index B) {
  const auto refuse = [](const std::string& text) {
    throw std::invalid_argument("gather_samples: " + text);
  };
  if (index.empty()) refuse("no sample is kept");
  RecycledVector<char> seen(static_cast<std::size_t>(B), 0);
  for (const Index sample : index) {
    if (sample < 0 || sample >= B)
      refuse("sample " + std::to_string(sample) + " of " + std::to_string(B));
    char& before = seen[static_cast<std::size_t>(sample)];
    if (before != 0) refuse("sample " + std::to_string(sample) + " comes twice");
    before = 1;
  }
}

/// x (B, ...) -> (K, ...)
template <std::floating_point T>
Tensor<T> gather_rows(const Tensor<T>& x, std::span<const Index> index) {
  const auto K = static_cast<Index>(index.size());
  Tensor<T> y = Tensor<T>::uninitialised(x.shape().with(0, K));
  // to the kernel the batch is one sample, and its samples are tokens
  kernel::gather_tokens<T>(x.span(), y.span(), x.dim(0), K, x.size() / x.dim(0), index);
  return y;
}

}  // namespace detail

/// Keeps the samples that you choose: result[k] = batch[index[k]].
///
/// Shapes  index (K); tokens (B, N, D) -> (K, N, D), cls_attention (B, N) -> (K, N),
///         labels of B rows -> K rows.
/// Grad    tokens only. Kept samples get their gradient, the others zero.
/// Errors  std::invalid_argument if no sample is kept, or an index is outside 0..B-1 or comes
///         twice.
template <std::floating_point T>
CutBatch<T> gather_samples(CutBatch<T> batch, std::span<const Index> index) {
  require_consistent("gather_samples", batch);
  detail::require_sample_index(index, batch.samples());
  const auto K = static_cast<Index>(index.size());
  batch.cls_attention = detail::gather_rows(batch.cls_attention, index);
  batch.labels = batch.labels.gather(index);
  if (!batch.statistics.empty()) batch.statistics = detail::gather_rows(batch.statistics, index);
  if (!batch.token_sizes.empty()) batch.token_sizes = detail::gather_rows(batch.token_sizes, index);
  if (!batch.sizes.empty()) {
    RecycledVector<Index> sizes;
    for (const Index sample : index) sizes.push_back(batch.sizes[static_cast<std::size_t>(sample)]);
    batch.sizes = std::move(sizes);
  }
  const Variable<T> x = batch.tokens;
  auto scatter = [x, kept = RecycledVector<Index>(index.begin(), index.end()), K](
                     const Tensor<T>&, const Tensor<T>& dy) {
    // forward: y[k] = x[index[k]], so dx[index[k]] = dy[k], and zero elsewhere
    Tensor<T> dx = Tensor<T>::uninitialised(x.shape());
    const Index B = x.dim(0);
    kernel::scatter_tokens<T>(dy.span(), dx.span(), B, K, x.value().size() / B, kept);
    x.add_gradient(std::move(dx));
  };
  batch.tokens = record<T>(detail::gather_rows(x.value(), index), {x}, std::move(scatter));
  return batch;
}

template <std::floating_point T>
CutBatch<T> DropSamples::operator()(CutBatch<T> batch, Rng& rng) const {
  require_consistent("DropSamples", batch);
  require_fraction("DropSamples", keep);
  require_at_least("DropSamples", "min_samples", min_samples, 1);
  const Index B = batch.samples(), K = kept_count(keep, B, min_samples);
  if (K == B) return batch;
  RecycledVector<Index> all(static_cast<std::size_t>(B));
  std::iota(all.begin(), all.end(), Index{0});
  detail::choose(all, K, rng);
  all.resize(static_cast<std::size_t>(K));
  return gather_samples(std::move(batch), std::span<const Index>{all});
}

}  // namespace splitvit::compress
