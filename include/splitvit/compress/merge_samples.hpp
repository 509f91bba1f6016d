// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max_element
#include <array>      // array
#include <concepts>   // floating_point
#include <cstdint>    // uint8_t
#include <numeric>    // iota
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <utility>    // move

#include <splitvit/autograd/variable.hpp>         // record
#include <splitvit/compress/cut_batch.hpp>        // CutBatch
#include <splitvit/compress/detail/clusters.hpp>  // join_small_clusters, number_by_first_row
#include <splitvit/compress/detail/groups.hpp>    // groups_of, mean_rows, spread_rows
#include <splitvit/compress/kept_count.hpp>       // kept_count, require_fraction
#include <splitvit/compress/kmeans.hpp>           // kmeans
#include <splitvit/core/text.hpp>                 // exact_text, name_of
#include <splitvit/core/workspace.hpp>            // RecycledVector
#include <splitvit/tensor/reduce.hpp>             // all_finite

// MergeSamples: sends one mean instead of several samples whose CLS token attends alike.
//
//   const MergeSamples merge{.keep = 0.25};                  // 128 samples become 32
//   CutBatch<float> smaller = merge(std::move(batch), rng);
//
// It works in three steps: k-means on the rows of cls_attention says which samples belong
// together (clusters_of), then tokens and attention of each cluster are averaged and its labels
// are put together (merge_clusters). In the backward pass every member gets its share of the
// gradient.

namespace splitvit::compress {

/// What decides which samples are merged.
enum class Grouping : std::uint8_t {
  attention,  ///< k-means on the rows of cls_attention
  random,     ///< chance: clusters of the very same sizes with drawn members. A control
};

/// Averages samples whose CLS token attends alike (ADC, first stage).
///
/// There are never more clusters than distinct rows of attention, so a model that attends
/// evenly makes one sample of the whole batch. A sample alone in its cluster is sent as it is:
/// averaging is no promise of privacy, and min_cluster_size bounds the group size, no more.
///
/// Shapes  tokens (B, N, D) -> (K, N, D), cls_attention (B, N) -> (K, N),
///         labels of B rows -> K rows, with K = max(min_clusters, floor(keep * B)), at most B
///         and at most the number of distinct attention rows. Merged samples are ordered by
///         their first member. K = B returns the batch as it is, bit for bit.
/// Units   cls_attention: probabilities, mean over heads, each row sums to 1.
///         labels: a merged row counts the classes of all members, see Labels::merge.
/// Grad    tokens only. A sample in a cluster of m gets 1/m of its gradient.
/// Errors  std::invalid_argument if an option is outside its range, if an attention value is
///         not finite, or if the batch has fewer than min_cluster_size samples;
///         ShapeError if the three tensors do not describe one batch.
/// Source  arXiv:2509.15058, batch compression; authors' code:
///         Federico-Alvetreti/Split-Learning_ADC, methods/proposal.py.
/// Differs Draws come from rng, so runs can be repeated. No cluster is ever empty: the
///         authors' code then sends NaN. Batches of any size, down to one sample.
struct MergeSamples {
  double keep = 0.5;        ///< fraction of the batch that remains, in (0, 1]
  Index min_clusters = 2;   ///< never fewer merged samples than this, if B allows it
  int max_iterations = 50;  ///< of k-means
  double tolerance = 1e-4;  ///< of KMeansStop::shift; absolute, and attention is small
  KMeansStart start = KMeansStart::random;  ///< or plus_plus: far apart
  KMeansStop stop = KMeansStop::shift;      ///< or fixpoint: until nothing changes
  /// Entry 0, how CLS looks at itself, is often so large that it decides alone. false: compare
  /// entries 1..N-1 only, divided by their sum.
  bool with_cls_entry = true;
  Index min_cluster_size = 1;               ///< no merged sample is the mean of fewer than this
  Grouping grouping = Grouping::attention;  ///< or random: does it matter who is merged?
  /// Notes in the batch's `sizes` how many samples each row stands for, so that the loss can
  /// count it so often. false: every row counts once, as in the paper.
  bool weight_by_size = false;

  template <std::floating_point T>
  CutBatch<T> operator()(CutBatch<T> batch, Rng& rng) const;

  /// Which cluster each sample would go to, numbered by the first member: 0, ..., K-1.
  template <std::floating_point T>
  RecycledVector<Index> clusters_of(const Tensor<T>& cls_attention, Rng& rng) const;

  /// What it does and with which options, on one line.
  std::string description() const;

  /// Errors  std::invalid_argument if an option is outside its range.
  void require_options() const;
};

/// Averages the samples of each cluster, with clusters that you choose: sample b goes to
/// cluster ids[b], and merged sample k is the mean of cluster k.
///
/// Members are added in ascending order in double precision, with one division and one
/// rounding at the end; a cluster of one is copied.
///
/// Shapes  ids (B); tokens (B, N, D) -> (K, N, D), cls_attention (B, N) -> (K, N),
///         labels of B rows -> K rows (see Labels::merge), K = clusters. `sizes`, if there are
///         any, are added up, and `token_sizes` and `statistics` averaged.
/// Grad    tokens only, 1/m to each of the m members.
/// Errors  ShapeError if there is not one id for each sample; std::invalid_argument if an id
///         is outside 0..K-1 or a cluster has no member.
template <std::floating_point T>
CutBatch<T> merge_clusters(const CutBatch<T>& batch, std::span<const Index> ids, Index clusters) {
  require_consistent("merge_clusters", batch);
  if (static_cast<Index>(ids.size()) != batch.samples())
    throw ShapeError("merge_clusters: " + std::to_string(ids.size()) + " ids for " +
                     std::to_string(batch.samples()) + " samples");
  detail::Groups groups = detail::groups_of(ids, clusters);
  CutBatch<T> merged;
  if (!batch.sizes.empty()) {
    merged.sizes.resize(static_cast<std::size_t>(clusters));
    for (std::size_t i = 0; i < ids.size(); ++i)
      merged.sizes[static_cast<std::size_t>(ids[i])] += batch.sizes[i];
  }
  merged.cls_attention = detail::mean_rows(batch.cls_attention, groups);
  merged.labels = batch.labels.merge(groups.starts, groups.members);
  if (!batch.statistics.empty()) merged.statistics = detail::mean_rows(batch.statistics, groups);
  if (!batch.token_sizes.empty()) merged.token_sizes = detail::mean_rows(batch.token_sizes, groups);
  const Variable<T>& x = batch.tokens;
  Tensor<T> y = detail::mean_rows(x.value(), groups);
  // forward: y_k = (x_i + ... + x_j) / m over the m members of cluster k, so dx_i = dy_k / m
  auto share_out = [x, groups = std::move(groups)](const Tensor<T>&, const Tensor<T>& dy) {
    x.add_gradient(detail::spread_rows(dy, groups));
  };
  merged.tokens = record<T>(std::move(y), {x}, std::move(share_out));
  return merged;
}

template <std::floating_point T>
CutBatch<T> MergeSamples::operator()(CutBatch<T> batch, Rng& rng) const {
  require_consistent("MergeSamples", batch);
  const RecycledVector<Index> ids = clusters_of(batch.cls_attention, rng);
  const Index K = 1 + *std::ranges::max_element(ids);
  if (K == batch.samples()) return batch;  // every sample is alone
  if (weight_by_size && batch.sizes.empty()) batch.sizes.assign(ids.size(), 1);
  return merge_clusters(batch, std::span{ids}, K);
}

template <std::floating_point T>
RecycledVector<Index> MergeSamples::clusters_of(const Tensor<T>& cls_attention, Rng& rng) const {
  require_options();
  if (cls_attention.shape().rank() != 2 || cls_attention.empty())
    throw ShapeError("MergeSamples: cls_attention " + cls_attention.shape().text() +
                     ", wanted (B, N) with B and N at least 1");
  if (!all_finite<T>(cls_attention.view()))
    throw std::invalid_argument("MergeSamples: an attention value is not finite");
  const Index B = cls_attention.dim(0);
  if (B < min_cluster_size)
    throw std::invalid_argument("MergeSamples: " + std::to_string(B) +
                                " samples, but min_cluster_size is " +
                                std::to_string(min_cluster_size));
  const Index K = kept_count(keep, B, min_clusters);
  if (K == B && min_cluster_size == 1) {
    RecycledVector<Index> alone(static_cast<std::size_t>(B));
    std::iota(alone.begin(), alone.end(), Index{0});
    return alone;
  }
  const auto group = [&](const auto& rows) {
    Clustering found = kmeans(rows, K, {max_iterations, tolerance, start, stop}, rng);
    if (min_cluster_size > 1) return detail::join_small_clusters(rows, found, min_cluster_size);
    return std::move(found.assignment);
  };
  RecycledVector<Index> ids =
      with_cls_entry ? group(cls_attention) : group(detail::without_cls_entry(cls_attention));
  if (grouping == Grouping::random) rng.shuffle(std::span{ids});
  detail::number_by_first_row(ids);
  return ids;
}

inline void MergeSamples::require_options() const {
  constexpr const char* stage = "MergeSamples";
  require_fraction(stage, keep);
  require_at_least(stage, "min_clusters", min_clusters, 1);
  require_at_least(stage, "max_iterations", max_iterations, 1);
  require_at_least(stage, "tolerance", tolerance, 0);
  require_at_least(stage, "min_cluster_size", min_cluster_size, 1);
}

namespace detail {

inline constexpr std::array<Named<KMeansStart>, 2> start_names{
    {{"random", KMeansStart::random}, {"plus_plus", KMeansStart::plus_plus}}};
inline constexpr std::array<Named<KMeansStop>, 2> stop_names{
    {{"shift", KMeansStop::shift}, {"fixpoint", KMeansStop::fixpoint}}};
inline constexpr std::array<Named<Grouping>, 2> grouping_names{
    {{"attention", Grouping::attention}, {"random", Grouping::random}}};

}  // namespace detail

inline std::string MergeSamples::description() const {
  return "merge_samples keep=" + exact_text(keep) + " min_clusters=" + exact_text(min_clusters) +
         " max_iterations=" + exact_text(max_iterations) + " tolerance=" + exact_text(tolerance) +
         " start=" + name_of(detail::start_names, start) +
         " stop=" + name_of(detail::stop_names, stop) +
         " with_cls_entry=" + name_of(yes_or_no, with_cls_entry) +
         " min_cluster_size=" + exact_text(min_cluster_size) +
         " grouping=" + name_of(detail::grouping_names, grouping) +
         " weight_by_size=" + name_of(yes_or_no, weight_by_size);
}

}  // namespace splitvit::compress
