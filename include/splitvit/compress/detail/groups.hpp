// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>   // floating_point
#include <cstddef>    // size_t
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // to_string

#include <splitvit/core/shape.hpp>      // Index
#include <splitvit/core/workspace.hpp>  // RecycledVector
#include <splitvit/kernel/merge.hpp>    // mean_of_groups, spread_to_groups
#include <splitvit/tensor/tensor.hpp>   // Tensor

// Which samples belong to which cluster, in the form that the kernels take.

namespace splitvit::compress::detail {

/// Cluster k owns the samples members[starts[k]], ..., members[starts[k + 1] - 1], ascending.
struct Groups {
  RecycledVector<Index> starts;
  RecycledVector<Index> members;

  Index count() const { return static_cast<Index>(starts.size()) - 1; }
};

/// Errors  std::invalid_argument for a number outside 0..clusters-1 and for an empty cluster.
inline Groups groups_of(std::span<const Index> ids, Index clusters) {
  const auto at = [](Index i) { return static_cast<std::size_t>(i); };
  if (clusters < 1 || clusters > static_cast<Index>(ids.size()))
    throw std::invalid_argument("merge_clusters: " + std::to_string(clusters) + " clusters for " +
                                std::to_string(ids.size()) + " samples");
  Groups out{RecycledVector<Index>(at(clusters + 1)), RecycledVector<Index>(ids.size())};
  for (const Index id : ids) {
    if (id < 0 || id >= clusters)
      throw std::invalid_argument("merge_clusters: cluster " + std::to_string(id) +
                                  " does not exist, there are " + std::to_string(clusters));
    ++out.starts[at(id) + 1];
  }
  for (std::size_t k = 0; k < at(clusters); ++k) {
    if (out.starts[k + 1] == 0)
      throw std::invalid_argument("merge_clusters: cluster " + std::to_string(k) + " is empty");
    out.starts[k + 1] += out.starts[k];
  }
  RecycledVector<Index> next = out.starts;
  for (std::size_t i = 0; i < ids.size(); ++i)
    out.members[at(next[at(ids[i])]++)] = static_cast<Index>(i);
  return out;
}

/// The mean of each cluster's rows of x (B, ...): (K, ...).
template <std::floating_point T>
Tensor<T> mean_rows(const Tensor<T>& x, const Groups& groups) {
  Tensor<T> y = Tensor<T>::uninitialised(x.shape().with(0, groups.count()));
  kernel::mean_of_groups<T>(x.span(), y.span(), x.size() / x.dim(0), groups.starts, groups.members);
  return y;
}

/// Its gradient: dx (B, ...) from dy (K, ...).
template <std::floating_point T>
Tensor<T> spread_rows(const Tensor<T>& dy, const Groups& groups) {
  const auto samples = static_cast<Index>(groups.members.size());
  Tensor<T> dx = Tensor<T>::uninitialised(dy.shape().with(0, samples));
  kernel::spread_to_groups<T>(dy.span(), dx.span(), dy.size() / dy.dim(0), groups.starts,
                              groups.members);
  return dx;
}

}  // namespace splitvit::compress::detail
