// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, copy, max, min
#include <cmath>      // isfinite
#include <concepts>   // floating_point
#include <cstdint>    // uint8_t
#include <limits>     // numeric_limits
#include <numeric>    // iota
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <utility>    // move

#include <splitvit/compress/detail/lloyd.hpp>  // assign, fill_empty_clusters, means
#include <splitvit/core/random.hpp>            // Rng
#include <splitvit/core/workspace.hpp>         // RecycledVector
#include <splitvit/tensor/tensor.hpp>          // Tensor

// k-means alone, on plain tensors: groups rows that are close to each other. It never leaves a
// cluster empty, never returns NaN, and gives the same bits for any number of threads.
// Letters: m rows of d numbers, K clusters.

namespace splitvit::compress {

/// Which rows are the first centroids. Equal rows are never taken twice.
enum class KMeansStart : std::uint8_t {
  random,     ///< each row equally likely
  plus_plus,  ///< with probability proportional to the squared distance to the nearest taken one
};

/// When the rounds end, at the latest after `max_iterations`.
enum class KMeansStop : std::uint8_t {
  shift,     ///< (sum over clusters of how far the centroid moved)^2 < tolerance
  fixpoint,  ///< a round repeats the assignment of the round before
};

struct KMeansOptions {
  int max_iterations = 50;                  ///< rounds, at least 1
  double tolerance = 1e-4;                  ///< of KMeansStop::shift, at least 0
  KMeansStart start = KMeansStart::random;  ///< where to begin
  KMeansStop stop = KMeansStop::shift;      ///< when to end
};

/// What k-means found. `centroids` are the means of the rows that `assignment` gives them.
struct Clustering {
  RecycledVector<Index> assignment;  ///< (m): the cluster of each row, 0..K-1
  Tensor<double> centroids;          ///< (K, d)
  RecycledVector<Index> sizes;       ///< (K): rows in each cluster, at least 1
  int rounds = 0;                    ///< the last one included
  double inertia = 0.0;              ///< sum of squared distances of the rows to their centroids
};

/// Groups rows into at most `clusters` clusters, fewer if fewer rows are distinct.
///
/// A round gives each row to the nearest centroid (squared Euclidean distance, lowest number
/// wins a tie); an empty cluster then takes over the row that is farthest from its own
/// centroid; then each centroid becomes the mean of its rows.
///
/// Shapes  rows (m, d), m >= 1.
/// Errors  ShapeError if rows has another rank or no row; std::invalid_argument for a value
///         that is not finite, clusters < 1, or options outside their range.
/// Source  arXiv:2509.15058, batch compression; authors' code:
///         Federico-Alvetreti/Split-Learning_ADC, methods/proposal.py.
/// Differs Draws come from rng. Empty clusters are filled: the authors' code leaves them
///         without a row, so that their means are NaN.
template <std::floating_point T>
Clustering kmeans(const Tensor<T>& rows, Index clusters, const KMeansOptions& options, Rng& rng);

/// The same from given centroids. If fewer rows are distinct than centroids are given, the
/// first ones are used; `options.start` plays no role.
///
/// Shapes  rows (m, d), start (K, d), K >= 1.
template <std::floating_point T>
Clustering kmeans_from(const Tensor<T>& rows, const Tensor<T>& start,
                       const KMeansOptions& options = {});

namespace detail {

template <std::floating_point T>
void require_clusterable(const Tensor<T>& rows, Index clusters, const KMeansOptions& options) {
  const auto refuse = [](const std::string& text) {
    throw std::invalid_argument("kmeans: " + text);
  };
  if (rows.shape().rank() != 2 || rows.dim(0) < 1)
    throw ShapeError("kmeans: rows " + rows.shape().text() + ", wanted (m, d) with m >= 1");
  if (clusters < 1) refuse(std::to_string(clusters) + " clusters, wanted at least 1");
  if (options.max_iterations < 1)
    refuse("max_iterations is " + std::to_string(options.max_iterations) + ", wanted at least 1");
  if (!(options.tolerance >= 0.0))
    refuse("tolerance is " + std::to_string(options.tolerance) + ", wanted at least 0");
  for (const T value : rows.span())
    if (!std::isfinite(value)) refuse("a row holds a value that is not finite");
}

/// K distinct rows in random order; `first_equal` as first_equal_rows returns it.
inline RecycledVector<Index> start_random(const RecycledVector<Index>& first_equal, Index K,
                                          Rng& rng) {
  RecycledVector<Index> order(first_equal.size());
  std::iota(order.begin(), order.end(), Index{0});
  rng.shuffle(std::span{order});
  RecycledVector<char> used(first_equal.size(), 0);
  RecycledVector<Index> taken;
  for (const Index i : order) {
    if (static_cast<Index>(taken.size()) == K) break;
    char& seen = used[at(first_equal[at(i)])];
    if (seen == 0) taken.push_back(i);
    seen = 1;
  }
  return taken;
}

/// K distinct rows, far apart rather than close together.
inline RecycledVector<Index> start_plus_plus(const Points& x,
                                             const RecycledVector<Index>& first_equal, Index K,
                                             Rng& rng) {
  RecycledVector<Index> taken{rng.below(x.count)};
  RecycledVector<double> nearest(at(x.count), std::numeric_limits<double>::infinity());
  RecycledVector<char> used(at(x.count), 0);
  for (;;) {
    const Index last = taken.back();
    used[at(first_equal[at(last)])] = 1;
    if (static_cast<Index>(taken.size()) == K) return taken;
    double sum = 0.0;
    for (Index i = 0; i < x.count; ++i) {
      double& distance = nearest[at(i)];
      distance = std::min(distance, squared_distance(x.row(i), x.row(last), distance));
      sum += distance;
    }
    const double target = rng.uniform() * sum;
    Index choice = -1;
    double prefix = 0.0;
    for (Index i = 0; i < x.count && !(choice >= 0 && prefix > target); ++i) {
      prefix += nearest[at(i)];
      if (nearest[at(i)] > 0.0 && used[at(first_equal[at(i)])] == 0) choice = i;
    }
    // Rows may be distinct and yet so close that the square of their distance is zero.
    for (Index i = 0; i < x.count && choice < 0; ++i)
      if (used[at(first_equal[at(i)])] == 0) choice = i;
    taken.push_back(choice);
  }
}

/// The rounds.
inline Clustering lloyd(const Points& x, Points centroids, const KMeansOptions& options,
                        double unit) {
  Clustering out;
  Assignment now;
  for (bool done = false; !done;) {
    RecycledVector<Index> before = std::move(now.cluster);
    now = assign(x, centroids);
    fill_empty_clusters(now);
    Points moved = means(x, now);
    ++out.rounds;
    if (options.stop == KMeansStop::fixpoint) {
      done = now.cluster == before;
    } else {
      const double shift = total_shift(centroids, moved) * unit;
      done = shift * shift < options.tolerance;
    }
    done = done || out.rounds >= options.max_iterations;
    centroids = std::move(moved);
  }
  for (Index i = 0; i < x.count; ++i)
    out.inertia += squared_distance(x.row(i), centroids.row(now.cluster[at(i)]));
  out.inertia = out.inertia * unit * unit;  // in this order: 0 stays 0
  out.centroids = Tensor<double>{{centroids.count, centroids.width}};
  constexpr double limit = std::numeric_limits<double>::max();
  for (Index k = 0; k < centroids.count; ++k)
    for (Index j = 0; j < centroids.width; ++j)
      out.centroids[k * centroids.width + j] =
          std::clamp(centroids.row(k)[at(j)] * unit, -limit, limit);
  out.assignment = std::move(now.cluster);
  out.sizes = std::move(now.sizes);
  return out;
}

}  // namespace detail

template <std::floating_point T>
Clustering kmeans(const Tensor<T>& rows, Index clusters, const KMeansOptions& options, Rng& rng) {
  detail::require_clusterable(rows, clusters, options);
  const double unit = detail::power_of_two_scale(rows);
  const detail::Points x = detail::points_of(rows, unit);
  const RecycledVector<Index> first_equal = detail::first_equal_rows(x);
  const Index K = std::min(clusters, detail::count_distinct(first_equal));
  const RecycledVector<Index> taken = options.start == KMeansStart::random
                                          ? detail::start_random(first_equal, K, rng)
                                          : detail::start_plus_plus(x, first_equal, K, rng);
  detail::Points centroids{K, x.width};
  for (Index k = 0; k < K; ++k)
    std::ranges::copy(x.row(taken[detail::at(k)]), centroids.row(k).begin());
  return detail::lloyd(x, std::move(centroids), options, unit);
}

template <std::floating_point T>
Clustering kmeans_from(const Tensor<T>& rows, const Tensor<T>& start,
                       const KMeansOptions& options) {
  if (start.shape().rank() != 2 || rows.shape().rank() != 2 || start.dim(1) != rows.dim(1))
    throw ShapeError("kmeans_from: rows " + rows.shape().text() + ", start " +
                     start.shape().text() + ": wanted (m, d) and (K, d)");
  detail::require_clusterable(rows, start.dim(0), options);
  detail::require_clusterable(start, start.dim(0), options);
  const double unit = std::max(detail::power_of_two_scale(rows), detail::power_of_two_scale(start));
  const detail::Points x = detail::points_of(rows, unit);
  const Index K = std::min(start.dim(0), detail::count_distinct(detail::first_equal_rows(x)));
  const Index d = start.dim(1);
  const Tensor<T> used{{K, d}, start.span().first(detail::at(K * d))};
  return detail::lloyd(x, detail::points_of(used, unit), options, unit);
}

}  // namespace splitvit::compress
