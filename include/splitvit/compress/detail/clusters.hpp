// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min_element
#include <cmath>      // isfinite
#include <concepts>   // floating_point

#include <splitvit/compress/detail/lloyd.hpp>  // Points, squared_distance
#include <splitvit/compress/kmeans.hpp>        // Clustering
#include <splitvit/core/workspace.hpp>         // RecycledVector
#include <splitvit/tensor/tensor.hpp>          // Tensor

// What MergeSamples does to rows before, and to clusters after, k-means.

namespace splitvit::compress::detail {

/// Attention (B, N) without entry 0, the rest of each row divided by its sum: (B, N - 1).
/// A row whose rest cannot be divided so, because the sum is 0 or far too small, becomes zeros.
template <std::floating_point T>
Tensor<double> without_cls_entry(const Tensor<T>& attention) {
  const Index B = attention.dim(0), N = attention.dim(1);
  Tensor<double> out{{B, N - 1}};
  for (Index b = 0; b < B; ++b) {
    const T* const row = attention.data() + b * N;
    double sum = 0.0;
    for (Index j = 1; j < N; ++j) sum += static_cast<double>(row[j]);
    bool fits = sum != 0.0;
    for (Index j = 1; j < N && fits; ++j) {
      double& quotient = out[b * (N - 1) + j - 1];
      quotient = static_cast<double>(row[j]) / sum;
      fits = std::isfinite(quotient);
    }
    if (!fits)
      for (Index j = 1; j < N; ++j) out[b * (N - 1) + j - 1] = 0.0;
  }
  return out;
}

/// Joins clusters until none has fewer than `least` rows: the smallest one goes to the one
/// with the nearest centroid, again and again; the lowest number wins every tie. Returns the
/// cluster of each row.
template <std::floating_point T>
RecycledVector<Index> join_small_clusters(const Tensor<T>& rows, const Clustering& found,
                                          Index least) {
  const Points x = points_of(rows, power_of_two_scale(rows));
  Assignment now{found.assignment, {}, found.sizes};
  while (now.sizes.size() > 1) {
    const auto smallest = std::ranges::min_element(now.sizes);
    if (*smallest >= least) break;
    const Index joined = smallest - now.sizes.begin();
    const Points centroids = means(x, now);
    Index into = -1;
    double shortest = 0.0;
    for (Index k = 0; k < centroids.count; ++k) {
      if (k == joined) continue;
      const double distance = squared_distance(centroids.row(joined), centroids.row(k));
      if (into >= 0 && distance >= shortest) continue;
      into = k;
      shortest = distance;
    }
    now.sizes[at(into)] += *smallest;
    now.sizes.erase(smallest);
    for (Index& id : now.cluster) {
      if (id == joined) id = into;
      if (id > joined) --id;  // closes the gap in the numbers
    }
  }
  return now.cluster;
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

}  // namespace splitvit::compress::detail
