// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/variable.hpp>   // record
#include <splitvit/compress/cut_batch.hpp>  // CutBatch
#include <splitvit/core/workspace.hpp>      // RecycledVector
#include <splitvit/kernel/rows.hpp>         // gather_tokens, mean_of_groups, ...
#include <splitvit/tensor/tensor.hpp>       // Tensor

// Linear maps of the tensors of a batch. A map has two functions: forward(x) returns y, and
// backward(dy, shape) returns the gradient of an x of that shape.

namespace splitvit::inline SPLITVIT_BUILD::compress::detail {

/// Cluster k owns the samples members[starts[k]], ..., members[starts[k + 1] - 1], ascending.
struct Groups {
  RecycledVector<Index> starts;
  RecycledVector<Index> members;

  Index count() const { return static_cast<Index>(starts.size()) - 1; }
};

/// Errors  std::invalid_argument for a number outside 0..clusters-1 and for an empty cluster.
inline Groups groups_of(std::span<const Index> ids, Index clusters) {
  const auto at = [](Index i) { return static_cast<std::size_t>(i); };
  const auto require = [](bool fits, TextParts parts) {
    if (!fits) throw ArgumentError({"merge_clusters: ", joined(parts)});
  };
  require(clusters >= 1 && clusters <= static_cast<Index>(ids.size()),
          {clusters, " clusters for ", ids.size(), " samples"});
  Groups out{RecycledVector<Index>(at(clusters + 1)), RecycledVector<Index>(ids.size())};
  for (const Index id : ids) {
    require(id >= 0 && id < clusters, {"cluster ", id, " does not exist, there are ", clusters});
    ++out.starts[at(id) + 1];
  }
  for (std::size_t k = 0; k < at(clusters); ++k) {
    require(out.starts[k + 1] > 0, {"cluster ", k, " is empty"});
    out.starts[k + 1] += out.starts[k];
  }
  RecycledVector<Index> next = out.starts;
  for (std::size_t i = 0; i < ids.size(); ++i)
    out.members[at(next[at(ids[i])]++)] = static_cast<Index>(i);
  return out;
}

/// Applies a map, and records its gradient.
template <std::floating_point T, class Map>
Variable<T> apply(const Variable<T>& x, Map map) {
  Tensor<T> y = map.forward(x.value());
  return record<T>(std::move(y), {x},
                   [x, map = std::move(map)](const Tensor<T>&, const Tensor<T>& dy) {
                     x.add_gradient(map.backward(dy, x.shape()));
                   });
}

/// Applies a map to every tensor of a batch that has an entry for each token.
template <std::floating_point T, class Map>
void apply_to_tokens(CutBatch<T>& batch, Map map) {
  for (Tensor<T>* each : {&batch.cls_attention, &batch.token_sizes, &batch.statistics})
    if (!each->empty()) *each = map.forward(*each);
  batch.tokens = apply(batch.tokens, std::move(map));
}

/// Picks samples by an index (K), or tokens of each sample by an index (B, P): y_i = x_index[i].
struct Gather {
  Tensor<Index> index;

  template <std::floating_point T>
  Tensor<T> forward(const Tensor<T>& x) const {
    Tensor<T> y = Tensor<T>::uninitialised(x.shape().with(axis(), picked()));
    kernel::gather_tokens<T>(x.span(), y.span(), x.dim(axis()), picked(), y.size() / index.size(),
                             index.span());
    return y;
  }
  /// dx_index[i] = dy_i; entries that are not picked get zeros.
  template <std::floating_point T>
  Tensor<T> backward(const Tensor<T>& dy, const Shape& shape) const {
    Tensor<T> dx = Tensor<T>::uninitialised(shape);
    kernel::scatter_tokens<T>(dy.span(), dx.span(), shape[axis()], picked(),
                              dy.size() / index.size(), index.span());
    return dx;
  }

 private:
  std::size_t axis() const { return index.shape().rank() - 1; }
  Index picked() const { return index.shape().back(); }
};

/// The mean of each group, for groups of samples (axis 0) or of tokens (axis 1); the tokens of all
/// samples are numbered one after the other.
struct GroupMean {
  Groups groups;
  std::size_t axis;

  template <std::floating_point T>
  Tensor<T> forward(const Tensor<T>& x) const {
    const Index count = axis == 0 ? groups.count() : groups.count() / x.dim(0);
    Tensor<T> y = Tensor<T>::uninitialised(x.shape().with(axis, count));
    kernel::mean_of_groups<T>(x.span(), y.span(), width(x.shape()), groups.starts, groups.members);
    return y;
  }
  /// y_k = (x_i + ... + x_j) / m over the m members of group k, so dx_i = dy_k / m.
  template <std::floating_point T>
  Tensor<T> backward(const Tensor<T>& dy, const Shape& shape) const {
    Tensor<T> dx = Tensor<T>::uninitialised(shape);
    kernel::spread_to_groups<T>(dy.span(), dx.span(), width(shape), groups.starts, groups.members);
    return dx;
  }

 private:
  Index width(const Shape& x) const {
    return x.elements() / static_cast<Index>(groups.members.size());
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::compress::detail
