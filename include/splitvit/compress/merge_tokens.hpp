// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min, partial_sort, sort
#include <cmath>      // abs, sqrt
#include <numeric>    // iota

#include <splitvit/compress/cut_batch.hpp>          // CutBatch, kept_count
#include <splitvit/compress/detail/linear_map.hpp>  // apply, GroupMean, groups_of
#include <splitvit/compress/detail/points.hpp>      // Points, points_of, at, lanes, total
#include <splitvit/compress/gather.hpp>             // gather_tokens
#include <splitvit/core/finite.hpp>                 // limited
#include <splitvit/core/options.hpp>                // fraction, names_of, require_options
#include <splitvit/core/parallel.hpp>               // parallel_for
#include <splitvit/core/random.hpp>                 // Rng
#include <splitvit/core/workspace.hpp>              // RecycledVector
#include <splitvit/kernel/token_statistic.hpp>      // TokenStatistic
#include <splitvit/tensor/reduce.hpp>               // all_finite

namespace splitvit::inline SPLITVIT_BUILD::compress {

/// What is compared to find similar tokens.
enum class TokenFeatures : std::uint8_t {
  tokens,  ///< the tokens themselves
  keys,    ///< their keys in the last block of the client, mean over heads
};

namespace detail {
inline constexpr auto feature_names =
    names_of<TokenFeatures>({{"tokens", TokenFeatures::tokens}, {"keys", TokenFeatures::keys}});
}  // namespace detail

/// Averages similar tokens of a sample until P are left. In a round, each patch at an even place
/// finds the most similar patch at an odd place (cosine of their features; 0 for zeros). Then the
/// most similar pairs merge, at most half of the patches. CLS is never merged.
///
/// Shapes  tokens (B, N, D) -> (B, P, D), cls_attention (B, N) -> (B, P), token_sizes (B, P) where
///         they are sent, labels as they are, with P = max(1, floor(keep * N)), CLS included. P = 1
///         keeps CLS alone and drops the patches; P = N returns the batch unchanged, bit for bit.
///         Order: CLS, then by the lowest member.
/// Units   cls_attention: the sum over the members, so that each row keeps its sum.
/// Grad    tokens only. A token in a group of s gets 1/s of its gradient.
/// Errors  std::invalid_argument if keep is outside (0, 1], a feature is not finite, the batch has
///         no keys to compare, or tokens were merged already; ShapeError for an inconsistent batch.
/// Source  after Bolya et al., "Token Merging: Your ViT But Faster", arXiv:2210.09461.
/// Differs It compares keys and merges within every block; this merges once, at the cut.
struct MergeTokens {
  double keep = 0.5;  ///< fraction of the tokens that remains, CLS included, in (0, 1]
  TokenFeatures features = TokenFeatures::tokens;
  /// Sends the size of each group, one byte a token. The server's attention then weighs a merged
  /// token as that many tokens.
  bool send_sizes = false;

  template <std::floating_point T>
  CutBatch<T> operator()(CutBatch<T> batch, Rng& rng) const;

  kernel::TokenStatistic required_statistic() const {
    return features == TokenFeatures::keys ? kernel::TokenStatistic::keys
                                           : kernel::TokenStatistic::none;
  }

  static constexpr std::string_view name = "merge-tokens";
  static void each_option(auto& self, auto&& see) {
    see("", self.keep, Required{fraction("R")});
    see("features", self.features, detail::feature_names);
    see("send_sizes", self.send_sizes, yes_no);
  }
  std::string description() const { return describe_options(*this); }
};

namespace detail {
/// The sum of a_i b_i, in the order of squared_distance.
inline double dot(std::span<const double> a, std::span<const double> b) {
  std::array<double, at(lanes)> sum{};
  const auto n = static_cast<Index>(a.size());
  for (Index i = 0; i < n; i += lanes)
    for (Index lane = 0; lane < lanes; ++lane) sum[at(lane)] += a[at(i + lane)] * b[at(i + lane)];
  return total(sum);
}

/// The groups of one sample's tokens, which are merged in rounds. One token owns each group.
class LikeTokens {
 public:
  /// Each token is a group.
  explicit LikeTokens(Points features)
      : sums_{std::move(features)},
        units_{sums_.count, sums_.width},
        owner_(at(sums_.count)),
        live_(at(sums_.count)),
        lowest_(at(sums_.count)) {
    for (auto* numbers : {&owner_, &live_, &lowest_})
      std::iota(numbers->begin(), numbers->end(), Index{0});
  }

  Index count() const { return static_cast<Index>(live_.size()); }

  /// Merges the `most` most similar pairs of a patch at an even and a patch at an odd place.
  void merge_pairs(Index most) {
    for (const Index token : live_) normalise(token);
    RecycledVector<Pair> pairs;
    for (Index place = 2; place < count(); place += 2) pairs.push_back(most_similar(place));
    const auto better = [](const Pair& p, const Pair& q) {
      return p.similarity > q.similarity || (p.similarity == q.similarity && p.place < q.place);
    };
    const auto taken = pairs.begin() + std::min<Index>(most, static_cast<Index>(pairs.size()));
    std::partial_sort(pairs.begin(), taken, pairs.end(), better);
    std::sort(pairs.begin(), taken, [](const Pair& a, const Pair& b) {
      return a.place < b.place;
    });  // sums have a fixed order
    for (auto pair = pairs.begin(); pair != taken; ++pair) merge(pair->from, pair->into);
    const auto merged = [&](Index token) { return owner_[at(token)] != token; };
    live_.resize(at(std::remove_if(live_.begin(), live_.end(), merged) - live_.begin()));
    std::sort(live_.begin(), live_.end(),
              [&](Index a, Index b) { return lowest_[at(a)] < lowest_[at(b)]; });
  }

  /// The group of each of the N tokens, numbered in the order of their first members.
  void write_groups(Index* ids) const {
    RecycledVector<Index> number(owner_.size());
    for (std::size_t place = 0; place < live_.size(); ++place)
      number[at(live_[place])] = static_cast<Index>(place);
    for (std::size_t j = 0; j < owner_.size(); ++j) ids[j] = number[at(owner_[j])];
  }

 private:
  struct Pair {
    Index from, into;
    double similarity;
    Index place;  // of `from`
  };

  /// Scales the features to length 1; zeros stay zeros, so that their similarity is 0.
  void normalise(Index token) {
    const auto from = sums_.row(token);
    const auto to = units_.row(token);
    const double length = std::sqrt(dot(from, from));
    for (std::size_t d = 0; d < to.size(); ++d) to[d] = length > 0.0 ? from[d] / length : 0.0;
  }

  /// The group at a place and the most similar one at an odd place, the lowest of several.
  Pair most_similar(Index place) const {
    const Index token = live_[at(place)];
    Pair best{token, live_[1], dot(units_.row(token), units_.row(live_[1])), place};
    for (Index odd = 3; odd < count(); odd += 2) {
      const Index other = live_[at(odd)];
      const double similarity = dot(units_.row(token), units_.row(other));
      if (similarity > best.similarity) best = {token, other, similarity, place};
    }
    return best;
  }

  void merge(Index from, Index into) {
    // The sum has the direction of the mean, and only directions are compared.
    const auto sum = sums_.row(into);
    const auto more = sums_.row(from);
    for (std::size_t d = 0; d < sum.size(); ++d) sum[d] += more[d];
    for (Index& owner : owner_)
      if (owner == from) owner = into;
    lowest_[at(into)] = std::min(lowest_[at(into)], lowest_[at(from)]);
  }

  Points sums_;                   // the sum of each group, in the row of its owner
  Points units_;                  // the same, scaled to length 1
  RecycledVector<Index> owner_;   // (N): the owner of the group of each token
  RecycledVector<Index> live_;    // the owners, ordered by the lowest members of their groups
  RecycledVector<Index> lowest_;  // (N): the lowest member of the group of an owner
};
}  // namespace detail

/// The group of each token as MergeTokens groups them, 0 for CLS alone, in the order of their
/// lowest members.
///
/// Shapes  features (B, N, W) -> (B, N), 2 <= P <= N groups in each row.
/// Errors  ShapeError; std::invalid_argument if a feature is not finite.
template <std::floating_point T>
Tensor<Index> like_tokens(const Tensor<T>& features, Index P) {
  const Shape& shape = features.shape();
  if (shape.rank() != 3 || P < 2 || P > shape[1])
    throw ShapeError(
        {"like_tokens: ", P, " groups of tokens ", shape.text(), ": wanted 2 to N of (B, N, W)"});
  if (!all_finite<T>(features.view()))
    throw std::invalid_argument("like_tokens: a feature is not finite");
  const Index N = shape[1], W = shape[2];
  Tensor<Index> ids = Tensor<Index>::uninitialised({shape[0], N});
  parallel_for(shape[0], 1, [&](Index b, Index) {
    const T* const x = features.data() + b * N * W;
    double largest = 0.0;  // divided by it, sums and squares do not overflow
    for (Index i = 0; i < N * W; ++i)
      largest = std::max(largest, std::abs(static_cast<double>(x[i])));
    detail::LikeTokens tokens{detail::points_of(x, N, W, largest > 0.0 ? largest : 1.0)};
    while (tokens.count() > P) tokens.merge_pairs(tokens.count() - P);
    tokens.write_groups(ids.data() + b * N);
  });
  return ids;
}

/// Averages the tokens of each group, with groups that you choose: token j of sample b is in
/// group ids[b, j]. Members are added as in merge_clusters.
///
/// Shapes  ids (B, N), each row with the numbers 0..P-1; tokens (B, N, D) -> (B, P, D),
///         cls_attention (B, N) -> (B, P), added up; token_sizes (B, P) get the numbers of members
///         if `with_sizes`. The result has no statistics.
/// Grad    tokens only, 1/s to each of the s members of a group.
/// Errors  ShapeError; std::invalid_argument if a number is outside 0..P-1 or missing, CLS is not
///         alone in group 0, or tokens were merged already.
template <std::floating_point T>
CutBatch<T> merge_token_groups(CutBatch<T> batch, const Tensor<Index>& ids, Index P,
                               bool with_sizes = false) {
  require_consistent("merge_token_groups", batch);
  if (!batch.token_sizes.empty())
    throw std::invalid_argument("merge_token_groups: merged tokens cannot be merged again");
  const Index B = batch.samples(), N = batch.token_count();
  if (ids.shape() != Shape{B, N})
    throw ShapeError(
        {"merge_token_groups: ids ", ids.shape().text(), " for ", B, " samples of ", N, " tokens"});
  const auto require = [](bool fits, Index b, TextParts parts) {
    if (!fits) throw ArgumentError({"merge_token_groups: sample ", b, ": ", joined(parts)});
  };
  require(P >= 1 && P <= N, 0, {P, " groups of ", N, " tokens"});
  Tensor<Index> sizes{{B, P}};
  Tensor<double> attention{{B, P}};
  RecycledVector<Index> group;  // of each token, over all samples
  group.reserve(static_cast<std::size_t>(B * N));
  for (Index i = 0; i < B * N; ++i) {
    require(ids[i] >= 0 && ids[i] < P, i / N, {"group ", ids[i], " does not exist, there are ", P});
    group.push_back(i / N * P + ids[i]);
    ++sizes[group.back()];
    attention[group.back()] += static_cast<double>(batch.cls_attention[i]);
  }
  for (Index i = 0; i < B * P; ++i) require(sizes[i] > 0, i / P, {"group ", i % P, " is empty"});
  for (Index b = 0; b < B; ++b)
    require(ids[b * N] == 0 && sizes[b * P] == 1, b, {"CLS must be alone in group 0"});
  batch.cls_attention = Tensor<T>::uninitialised({B, P});
  for (Index i = 0; i < B * P; ++i) batch.cls_attention[i] = limited(static_cast<T>(attention[i]));
  if (with_sizes) {
    batch.token_sizes = Tensor<T>::uninitialised({B, P});
    for (Index i = 0; i < B * P; ++i) batch.token_sizes[i] = static_cast<T>(sizes[i]);
  }
  batch.statistics = {};
  batch.tokens = detail::apply(batch.tokens, detail::GroupMean{detail::groups_of(group, B * P), 1});
  return batch;
}

template <std::floating_point T>
CutBatch<T> MergeTokens::operator()(CutBatch<T> batch, Rng&) const {
  require_consistent("MergeTokens", batch);
  require_options("MergeTokens", *this);
  const Index N = batch.token_count();
  const Index P = kept_count(keep, N, 1);
  if (P == N) return batch;
  if (P == 1) return gather_tokens(std::move(batch), RecycledVector<Index>{0});
  if (features == TokenFeatures::keys && batch.statistics.empty())
    throw std::invalid_argument("MergeTokens: no keys to compare: the batch has no statistics");
  const Tensor<Index> ids =
      like_tokens(features == TokenFeatures::keys ? batch.statistics : batch.tokens.value(), P);
  return merge_token_groups(std::move(batch), ids, P, send_sizes);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::compress
