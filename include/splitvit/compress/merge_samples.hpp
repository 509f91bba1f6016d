// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // fill_n, max_element
#include <cmath>      // isfinite
#include <numeric>    // iota

#include <splitvit/compress/cut_batch.hpp>          // CutBatch, kept_count
#include <splitvit/compress/detail/linear_map.hpp>  // apply_to_tokens, GroupMean, groups_of
#include <splitvit/compress/detail/points.hpp>      // Points, points_of, squared_distance
#include <splitvit/compress/then.hpp>               // Identity
#include <splitvit/core/options.hpp>                // at_least, names_of, require_options
#include <splitvit/core/workspace.hpp>              // RecycledVector
#include <splitvit/kernel/kmeans.hpp>               // kmeans, KMeansStart, KMeansStop
#include <splitvit/kernel/rows.hpp>                 // mean_of_groups
#include <splitvit/tensor/reduce.hpp>               // all_finite

// MergeSamples: sends one mean instead of several samples whose CLS token attends alike.
//
//   const MergeSamples merge{.keep = 0.25};                  // 128 samples become 32
//   CutBatch<float> smaller = merge(std::move(batch), rng);

namespace splitvit::inline SPLITVIT_BUILD::compress {

using kernel::KMeansStart;
using kernel::KMeansStop;

/// How samples are grouped.
enum class Grouping : std::uint8_t {
  attention,  ///< k-means on the rows of cls_attention
  random,     ///< a control: clusters of the same sizes with random members
};

namespace detail {
inline constexpr auto grouping_names =
    names_of<Grouping>({{"attention", Grouping::attention}, {"random", Grouping::random}});
}  // namespace detail

/// Averages samples whose CLS token attends alike (ADC, first stage), found by k-means. A sample
/// alone in its cluster is sent as it is: averaging is no promise of privacy.
///
/// Shapes  tokens (B, N, D) -> (K, N, D), cls_attention (B, N) -> (K, N), labels of B rows -> K
///         rows, with K = max(min_clusters, floor(keep * B)), at most B and at most the number of
///         distinct attention rows; ordered by their first members. K = B returns the batch
///         unchanged, bit for bit.
/// Units   cls_attention: probabilities, mean over heads, each row sums to 1.
///         labels: a merged row counts the classes of all members, see Labels::merge.
/// Grad    tokens only. A sample in a cluster of m gets 1/m of its gradient.
/// Errors  std::invalid_argument for an option outside its range, an attention value that is not
///         finite, or fewer than min_cluster_size samples; ShapeError for an inconsistent batch.
/// Source  arXiv:2509.15058, batch compression; authors' code:
///         Federico-Alvetreti/Split-Learning_ADC, methods/proposal.py.
/// Differs Draws come from rng. No cluster is ever empty: the authors' code then sends NaN.
///         Batches of any size, down to one sample.
struct MergeSamples {
  double keep = 0.5;        ///< fraction of the batch that remains, in (0, 1]
  Index min_clusters = 2;   ///< never fewer merged samples than this, if B allows it
  int max_iterations = 50;  ///< of k-means
  double tolerance = 1e-4;  ///< of KMeansStop::shift; absolute, and attention is small
  KMeansStart start = KMeansStart::random;  ///< or plus_plus: far apart
  KMeansStop stop = KMeansStop::shift;      ///< or fixpoint: until nothing changes
  /// false: compares entries 1..N-1 only, divided by their sum. Entry 0, the attention of CLS to
  /// itself, is often much larger.
  bool with_cls_entry = true;
  Index min_cluster_size = 1;               ///< no merged sample is the mean of fewer than this
  Grouping grouping = Grouping::attention;  ///< how samples are grouped
  /// Weighs a merged row in the loss by the number of its samples. false: every row has weight 1,
  /// as in the paper.
  bool weight_by_size = false;

  template <std::floating_point T>
  CutBatch<T> operator()(CutBatch<T> batch, Rng& rng) const;

  /// The cluster of each sample, numbered in the order of the first members: 0, ..., K-1.
  template <std::floating_point T>
  RecycledVector<Index> clusters_of(const Tensor<T>& cls_attention, Rng& rng) const;

  /// A prediction is for one sample.
  Identity in_evaluation() const { return {}; }

  static constexpr std::string_view name = "merge";
  static void each_option(auto& self, auto&& see) {
    see("", self.keep, Required{fraction("R")});
    see("min_clusters", self.min_clusters, at_least(1, "COUNT"));
    kernel::KMeansOptions::each_option(self, see);
    see("with_cls_entry", self.with_cls_entry, yes_no);
    see("min_cluster_size", self.min_cluster_size, at_least(1, "COUNT"));
    see("grouping", self.grouping, detail::grouping_names);
    see("weight_by_size", self.weight_by_size, yes_no);
  }
  std::string description() const { return describe_options(*this); }
};

namespace detail {
/// The attention (B, N) in double; without entry 0, the rest of each row, divided by its sum:
/// (B, N - 1), or zeros if the sum is too small for that.
template <std::floating_point T>
Tensor<double> rows_to_compare(const Tensor<T>& attention, bool with_cls_entry) {
  const Index B = attention.dim(0), N = attention.dim(1), first = with_cls_entry ? 0 : 1;
  Tensor<double> out{{B, N - first}};
  for (Index b = 0; b < B; ++b) {
    const T* const row = attention.data() + b * N;
    double* const to = out.data() + b * (N - first);
    for (Index j = first; j < N; ++j) to[j - first] = static_cast<double>(row[j]);
    if (with_cls_entry) continue;
    double sum = 0.0;
    for (Index j = 0; j < N - 1; ++j) sum += to[j];
    bool fits = sum != 0.0;
    for (Index j = 0; j < N - 1; ++j) {
      to[j] /= sum;
      fits = fits && std::isfinite(to[j]);
    }
    if (!fits) std::fill_n(to, N - 1, 0.0);
  }
  return out;
}

/// Joins clusters 0, ..., K-1 until none has fewer than `least` rows: the smallest one with the one
/// whose centroid is nearest; the lowest number wins every tie. `ids` is the cluster of each row.
inline void join_small_clusters(const Tensor<double>& rows, Index K, Index least,
                                RecycledVector<Index>& ids) {
  const Points x = points_of(rows.data(), rows.dim(0), rows.dim(1), power_of_two_scale(rows));
  for (; K > 1; --K) {
    const Groups groups = groups_of(ids, K);
    const auto size = [&](Index k) { return groups.starts[at(k) + 1] - groups.starts[at(k)]; };
    Index smallest = 0;
    for (Index k = 1; k < K; ++k)
      if (size(k) < size(smallest)) smallest = k;
    if (size(smallest) >= least) break;
    Points centroids{K, x.width};
    kernel::mean_of_groups<double>(x.values, centroids.values, x.stride, groups.starts,
                                   groups.members);
    Index into = -1;
    double shortest = std::numeric_limits<double>::infinity();
    for (Index k = 0; k < K; ++k) {
      const double distance = squared_distance(centroids.row(smallest), centroids.row(k));
      if (k == smallest || (into >= 0 && distance >= shortest)) continue;
      into = k;
      shortest = distance;
    }
    for (Index& id : ids) {
      if (id == smallest) id = into;
      if (id > smallest) --id;  // closes the gap in the numbers
    }
  }
}

/// The same clusters, numbered in the order of their first rows.
inline void number_by_first_row(RecycledVector<Index>& ids) {
  RecycledVector<Index> renamed(ids.size(), -1);
  Index next = 0;
  for (Index& id : ids) {
    Index& name = renamed[at(id)];
    if (name < 0) name = next++;
    id = name;
  }
}
}  // namespace detail

/// Averages the samples of each cluster, with clusters that you choose: sample b is in cluster
/// ids[b]. Members are added in ascending order in double precision, with one division and one
/// rounding at the end; a cluster of one is copied.
///
/// Shapes  ids (B); tokens (B, N, D) -> (K, N, D), cls_attention (B, N) -> (K, N), labels of B rows
///         -> K rows (see Labels::merge), K = clusters. `sizes` are added up, `token_sizes` and
///         `statistics` averaged.
/// Grad    tokens only, 1/m to each of the m members.
/// Errors  ShapeError unless there is one id for each sample; std::invalid_argument if an id
///         is outside 0..K-1 or a cluster has no member.
template <std::floating_point T>
CutBatch<T> merge_clusters(CutBatch<T> batch, std::span<const Index> ids, Index clusters) {
  require_consistent("merge_clusters", batch);
  if (static_cast<Index>(ids.size()) != batch.samples())
    throw ShapeError({"merge_clusters: ", ids.size(), " ids for ", batch.samples(), " samples"});
  detail::Groups groups = detail::groups_of(ids, clusters);
  if (!batch.sizes.empty()) {
    RecycledVector<Index> sizes(static_cast<std::size_t>(clusters));
    for (std::size_t i = 0; i < ids.size(); ++i)
      sizes[static_cast<std::size_t>(ids[i])] += batch.sizes[i];
    batch.sizes = std::move(sizes);
  }
  batch.labels = batch.labels.merge(groups.starts, groups.members);
  detail::apply_to_tokens(batch, detail::GroupMean{std::move(groups), 0});
  return batch;
}

template <std::floating_point T>
CutBatch<T> MergeSamples::operator()(CutBatch<T> batch, Rng& rng) const {
  require_consistent("MergeSamples", batch);
  const RecycledVector<Index> ids = clusters_of(batch.cls_attention, rng);
  const Index K = 1 + *std::max_element(ids.begin(), ids.end());
  if (K == batch.samples()) return batch;  // every sample is alone
  if (weight_by_size && batch.sizes.empty()) batch.sizes.assign(ids.size(), 1);
  return merge_clusters(std::move(batch), std::span{ids}, K);
}

template <std::floating_point T>
RecycledVector<Index> MergeSamples::clusters_of(const Tensor<T>& cls_attention, Rng& rng) const {
  require_options("MergeSamples", *this);
  if (cls_attention.shape().rank() != 2 || cls_attention.empty())
    throw ShapeError({"MergeSamples: cls_attention ", cls_attention.shape().text(),
                      ", wanted (B, N) with B and N at least 1"});
  if (!all_finite<T>(cls_attention.view()))
    throw std::invalid_argument("MergeSamples: an attention value is not finite");
  const Index B = cls_attention.dim(0);
  if (B < min_cluster_size)
    throw ArgumentError(
        {"MergeSamples: ", B, " samples, but min_cluster_size is ", min_cluster_size});
  const Index K = kept_count(keep, B, min_clusters);
  if (K == B && min_cluster_size == 1) {
    RecycledVector<Index> alone(static_cast<std::size_t>(B));
    std::iota(alone.begin(), alone.end(), Index{0});
    return alone;
  }
  const Tensor<double> rows = detail::rows_to_compare(cls_attention, with_cls_entry);
  Rng draws = rng;
  const auto found = kernel::kmeans(
      kernel::dense(rows.data(), B, rows.dim(1)), K,
      {.max_iterations = max_iterations, .tolerance = tolerance, .start = start, .stop = stop},
      draws);
  // A random start counts as a shuffle of all samples, however many of them it looked at.
  rng.position = start == KMeansStart::random ? rng.position + static_cast<std::uint64_t>(B - 1)
                                              : draws.position;
  RecycledVector<Index> ids(found.assignment.begin(), found.assignment.end());
  if (min_cluster_size > 1)
    detail::join_small_clusters(rows, found.clusters, min_cluster_size, ids);
  if (grouping == Grouping::random) rng.shuffle(std::span{ids});
  detail::number_by_first_row(ids);
  return ids;
}

SPLITVIT_ONCE(CutBatch<float> MergeSamples::operator()(CutBatch<float>, Rng&) const);

}  // namespace splitvit::inline SPLITVIT_BUILD::compress
