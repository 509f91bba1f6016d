// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min, partial_sort, sort
#include <array>      // array
#include <cmath>      // abs, sqrt
#include <concepts>   // floating_point
#include <cstddef>    // size_t
#include <numeric>    // iota
#include <span>       // span
#include <utility>    // move

#include <splitvit/compress/detail/lloyd.hpp>  // Points, points_of, at, lanes, total
#include <splitvit/core/shape.hpp>             // Index
#include <splitvit/core/workspace.hpp>         // RecycledVector

// Which tokens of a sample are alike: the bipartite matching of MergeTokens.

namespace splitvit::compress::detail {

/// The sum of a_i b_i, in the order of squared_distance.
inline double dot(std::span<const double> a, std::span<const double> b) {
  std::array<double, at(lanes)> sum{};
  const auto n = static_cast<Index>(a.size());
  for (Index i = 0; i < n; i += lanes)
    for (Index lane = 0; lane < lanes; ++lane) sum[at(lane)] += a[at(i + lane)] * b[at(i + lane)];
  return total(sum);
}

/// The tokens of one sample (N, D), divided by the largest number among them: no sum of them
/// or of their squares overflows.
template <std::floating_point T>
Points features_of(const T* x, Index N, Index D) {
  double largest = 0.0;
  for (Index i = 0; i < N * D; ++i)
    largest = std::max(largest, std::abs(static_cast<double>(x[i])));
  return points_of(x, N, D, largest > 0.0 ? largest : 1.0);
}

/// One sample whose tokens become fewer, round by round.
class LikeTokens {
 public:
  /// Every token alone.
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

  /// Merges the `most` most similar pairs of a patch at an even and a patch at an odd place, or
  /// as many as there are.
  void merge_pairs(Index most) {
    for (const Index token : live_) normalise(token);
    RecycledVector<Pair> pairs;
    for (Index place = 2; place < count(); place += 2)
      pairs.push_back(most_similar(live_[at(place)]));
    const auto better = [](const Pair& p, const Pair& q) {
      return p.similarity > q.similarity || (p.similarity == q.similarity && p.order < q.order);
    };
    for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i].order = i;
    const auto taken = pairs.begin() + std::min<Index>(most, static_cast<Index>(pairs.size()));
    std::partial_sort(pairs.begin(), taken, pairs.end(), better);
    // ascending again, so that sums have one order
    std::sort(pairs.begin(), taken, [](const Pair& p, const Pair& q) { return p.order < q.order; });
    for (auto pair = pairs.begin(); pair != taken; ++pair) merge(pair->from, pair->into);
    std::erase_if(live_, [&](Index token) { return owner_[at(token)] != token; });
    std::ranges::sort(live_, {}, [&](Index token) { return lowest_[at(token)]; });
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
    std::size_t order = 0;
  };

  /// To length 1; zeros stay zeros, so that they are like nothing.
  void normalise(Index token) {
    const auto from = sums_.row(token);
    const auto to = units_.row(token);
    const double length = std::sqrt(dot(from, from));
    for (std::size_t d = 0; d < to.size(); ++d) to[d] = length > 0.0 ? from[d] / length : 0.0;
  }

  /// The patch at an odd place that is most similar, the lowest of several.
  Pair most_similar(Index token) const {
    Pair best{token, live_[1], dot(units_.row(token), units_.row(live_[1]))};
    for (Index place = 3; place < count(); place += 2) {
      const Index other = live_[at(place)];
      const double similarity = dot(units_.row(token), units_.row(other));
      if (similarity > best.similarity) best = {token, other, similarity};
    }
    return best;
  }

  void merge(Index from, Index into) {
    // The direction of a mean is that of the sum, and only directions are compared.
    const auto sum = sums_.row(into);
    const auto more = sums_.row(from);
    for (std::size_t d = 0; d < sum.size(); ++d) sum[d] += more[d];
    for (Index& owner : owner_)
      if (owner == from) owner = into;
    lowest_[at(into)] = std::min(lowest_[at(into)], lowest_[at(from)]);
  }

  Points sums_;                   // of the members of each group, in the row of its owner
  Points units_;                  // the same, of length 1
  RecycledVector<Index> owner_;   // (N): the token whose group each one is in
  RecycledVector<Index> live_;    // those that own a group, by the group's lowest member
  RecycledVector<Index> lowest_;  // that member
};

/// Groups the tokens of one sample x (N, D) into P, 2 <= P <= N; writes the N group numbers.
template <std::floating_point T>
void group_like_tokens(const T* x, Index N, Index D, Index P, Index* ids) {
  LikeTokens tokens{features_of(x, N, D)};
  while (tokens.count() > P) tokens.merge_pairs(tokens.count() - P);
  tokens.write_groups(ids);
}

}  // namespace splitvit::compress::detail
