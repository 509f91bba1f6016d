// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min, sort
#include <array>      // array
#include <cmath>      // sqrt
#include <concepts>   // floating_point
#include <cstddef>    // size_t
#include <limits>     // numeric_limits
#include <numeric>    // iota
#include <span>       // span

#include <splitvit/core/parallel.hpp>              // parallel_for
#include <splitvit/core/shape.hpp>                 // Index
#include <splitvit/core/workspace.hpp>             // RecycledVector
#include <splitvit/kernel/power_of_two_scale.hpp>  // power_of_two_scale
#include <splitvit/tensor/tensor.hpp>              // Tensor

// The steps of a round of k-means, over rows in double precision.

namespace splitvit::compress::detail {

/// So many sums run side by side when a distance is computed: wide enough for any vector unit,
/// and the same on all of them, so that no processor gives other bits.
inline constexpr Index lanes = 8;

constexpr std::size_t at(Index i) { return static_cast<std::size_t>(i); }

/// Rows of `width` numbers, each followed by zeros up to `stride`, a multiple of `lanes`.
struct Points {
  Points(Index rows, Index columns)
      : count{rows},
        width{columns},
        stride{(columns + lanes - 1) / lanes * lanes},
        values(at(count * stride)) {}

  std::span<double> row(Index i) { return std::span{values}.subspan(at(i * stride), at(stride)); }
  std::span<const double> row(Index i) const {
    return std::span{values}.subspan(at(i * stride), at(stride));
  }

  Index count;
  Index width;
  Index stride;
  RecycledVector<double> values;
};

/// A power of two that rows are divided by so that squares and sums cannot overflow.
template <std::floating_point T>
double power_of_two_scale(const Tensor<T>& rows) {
  return static_cast<double>(kernel::power_of_two_scale<T>(rows.span(), 400));
}

/// The rows of x (m, d), divided by `unit`.
template <std::floating_point T>
Points points_of(const T* x, Index m, Index d, double unit) {
  Points out{m, d};
  for (Index i = 0; i < m; ++i) {
    double* const row = out.row(i).data();
    for (Index j = 0; j < d; ++j) row[j] = static_cast<double>(x[i * d + j]) / unit;
  }
  return out;
}
template <std::floating_point T>
Points points_of(const Tensor<T>& x, double unit) {
  return points_of(x.data(), x.dim(0), x.dim(1), unit);
}

inline double total(const std::array<double, at(lanes)>& s) {
  return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

/// The sum of (a - b)^2. Once it has reached `enough` it may return before the end, with a
/// part that is at least `enough`: every sum only grows, rounding included.
inline double squared_distance(std::span<const double> a, std::span<const double> b,
                               double enough = std::numeric_limits<double>::infinity()) {
  constexpr Index block = 4 * lanes;
  const auto n = static_cast<Index>(a.size());
  std::array<double, at(lanes)> sum{};
  for (Index begin = 0; begin < n;) {
    const Index end = std::min(n, begin + block);
    for (; begin < end; begin += lanes)
      for (Index lane = 0; lane < lanes; ++lane) {
        const double difference = a[at(begin + lane)] - b[at(begin + lane)];
        sum[at(lane)] += difference * difference;
      }
    if (begin < n && total(sum) >= enough) break;
  }
  return total(sum);
}

/// For each row the number of the first row that equals it (-0 equals +0).
inline RecycledVector<Index> first_equal_rows(const Points& x) {
  RecycledVector<Index> order(at(x.count));
  std::iota(order.begin(), order.end(), Index{0});
  const auto compare = [&](Index a, Index b) {  // -1, 0, 1
    const auto u = x.row(a), v = x.row(b);
    for (std::size_t j = 0; j < u.size(); ++j)
      if (u[j] != v[j]) return u[j] < v[j] ? -1 : 1;
    return 0;
  };
  std::sort(order.begin(), order.end(), [&](Index a, Index b) {
    const int c = compare(a, b);
    return c != 0 ? c < 0 : a < b;
  });
  RecycledVector<Index> first(at(x.count));
  for (std::size_t i = 0; i < order.size(); ++i)
    first[at(order[i])] =
        i > 0 && compare(order[i - 1], order[i]) == 0 ? first[at(order[i - 1])] : order[i];
  return first;
}

/// How many rows are distinct.
inline Index count_distinct(const RecycledVector<Index>& first_equal) {
  Index count = 0;
  for (std::size_t i = 0; i < first_equal.size(); ++i)
    if (first_equal[i] == static_cast<Index>(i)) ++count;
  return count;
}

/// Which cluster each row belongs to, how far it is from that centroid (squared), and how many
/// rows each cluster has.
struct Assignment {
  RecycledVector<Index> cluster;
  RecycledVector<double> distance;
  RecycledVector<Index> sizes;
};

/// Each row to its nearest centroid, the lowest numbered one of several.
inline Assignment assign(const Points& x, const Points& centroids) {
  Assignment out{RecycledVector<Index>(at(x.count)), RecycledVector<double>(at(x.count)),
                 RecycledVector<Index>(at(centroids.count))};
  const Index work_per_row = std::max<Index>(1, centroids.count * x.stride);
  parallel_for(x.count, std::max<Index>(1, 131072 / work_per_row), [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      Index nearest = 0;
      double least = squared_distance(x.row(i), centroids.row(0));
      for (Index k = 1; k < centroids.count; ++k) {
        const double distance = squared_distance(x.row(i), centroids.row(k), least);
        if (distance < least) {
          least = distance;
          nearest = k;
        }
      }
      out.cluster[at(i)] = nearest;
      out.distance[at(i)] = least;
    }
  });
  for (const Index k : out.cluster) ++out.sizes[at(k)];
  return out;
}

/// Gives every empty cluster a row: the one farthest from its centroid among those that are
/// not alone in their cluster, the lowest numbered one of several. Ends if there are at least
/// as many rows as clusters.
inline void fill_empty_clusters(Assignment& a) {
  for (std::size_t empty = 0; empty < a.sizes.size(); ++empty) {
    if (a.sizes[empty] > 0) continue;
    std::size_t farthest = a.cluster.size();
    for (std::size_t i = 0; i < a.cluster.size(); ++i)
      if (a.sizes[at(a.cluster[i])] >= 2 &&
          (farthest == a.cluster.size() || a.distance[i] > a.distance[farthest]))
        farthest = i;
    --a.sizes[at(a.cluster[farthest])];
    a.cluster[farthest] = static_cast<Index>(empty);
    a.sizes[empty] = 1;
    a.distance[farthest] = 0.0;
  }
}

/// The mean of each cluster's rows, added in ascending order.
inline Points means(const Points& x, const Assignment& a) {
  Points out{static_cast<Index>(a.sizes.size()), x.width};
  for (Index i = 0; i < x.count; ++i) {
    const auto sum = out.row(a.cluster[at(i)]);
    const auto row = x.row(i);
    for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += row[j];
  }
  for (Index k = 0; k < out.count; ++k)
    for (double& value : out.row(k)) value /= static_cast<double>(a.sizes[at(k)]);
  return out;
}

/// The sum over clusters of how far the centroid moved (not squared).
inline double total_shift(const Points& before, const Points& after) {
  double sum = 0.0;
  for (Index k = 0; k < after.count; ++k)
    sum += std::sqrt(squared_distance(before.row(k), after.row(k)));
  return sum;
}

}  // namespace splitvit::compress::detail
