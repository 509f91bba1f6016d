// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max
#include <cmath>      // abs, sqrt
#include <map>        // map

#include <splitvit/core/error.hpp>         // ShapeError
#include <splitvit/core/random.hpp>        // Rng
#include <splitvit/kernel/kmeans.hpp>      // kmeans, KMeansStart
#include <splitvit/kernel/matrix.hpp>      // dense
#include <splitvit/kernel/vector_ops.hpp>  // dot
#include <splitvit/leakage/roc.hpp>        // Guess
#include <splitvit/tensor/tensor.hpp>      // Tensor

// What somebody who gets no labels can say of them: which samples have the same one.
//
// Source  norms and cosines of gradients: Li et al. 2021, arXiv:2102.08504, there for two classes.

namespace splitvit::inline SPLITVIT_BUILD::leakage {

namespace detail {
template <std::floating_point T>
void require_labels(const char* operation, const Tensor<T>& rows, std::span<const Index> labels) {
  if (rows.shape().rank() == 0 || rows.dim(0) < 1 ||
      labels.size() != static_cast<std::size_t>(rows.dim(0)))
    throw ShapeError({operation, ": ", labels.size(), " labels for ", rows.shape(),
                      ": wanted one for each of (B, ...)"});
}

/// A guess for each pair of samples: score_of(i, j) is how alike they look.
std::vector<Guess> guesses_of_pairs(std::span<const Index> labels, const auto& score_of) {
  std::vector<Guess> guesses;
  for (std::size_t i = 0; i < labels.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) guesses.push_back({score_of(i, j), labels[i] == labels[j]});
  return guesses;
}

/// The square root of each row's dot product with itself.
template <std::floating_point T>
std::vector<double> norms_of(const Tensor<T>& rows) {
  const Index width = rows.size() / rows.dim(0);
  std::vector<double> norms;
  for (Index i = 0; i < rows.dim(0); ++i) {
    const T* const row = rows.data() + i * width;
    norms.push_back(std::sqrt(static_cast<double>(kernel::dot(row, row, width))));
  }
  return norms;
}
}  // namespace detail

/// Gradients of like norms belong to equal labels: a guess for each pair of samples.
///
/// Shapes  gradients (B, ...), labels: B of them. Errors  ShapeError.
template <std::floating_point T>
std::vector<Guess> guess_by_norm(const Tensor<T>& gradients, std::span<const Index> labels) {
  detail::require_labels("guess_by_norm", gradients, labels);
  const auto norms = detail::norms_of(gradients);
  return detail::guesses_of_pairs(
      labels, [&](std::size_t i, std::size_t j) { return -std::abs(norms[i] - norms[j]); });
}

/// Gradients of like directions belong to equal labels.
///
/// Shapes  gradients (B, ...), labels: B of them. Errors  ShapeError.
template <std::floating_point T>
std::vector<Guess> guess_by_cosine(const Tensor<T>& gradients, std::span<const Index> labels) {
  detail::require_labels("guess_by_cosine", gradients, labels);
  const auto norms = detail::norms_of(gradients);
  const Index width = gradients.size() / gradients.dim(0);
  return detail::guesses_of_pairs(labels, [&](std::size_t i, std::size_t j) {
    const T* const a = gradients.data() + static_cast<Index>(i) * width;
    const T* const b = gradients.data() + static_cast<Index>(j) * width;
    const double product = norms[i] * norms[j];
    return product > 0 ? static_cast<double>(kernel::dot(a, b, width)) / product : 0;
  });
}

/// Of clusters that somebody gives their most frequent label.
struct ClusterGuess {
  double accuracy = 0;  ///< share of the samples with the label of their cluster
  double guessing = 0;  ///< the same if labels had nothing to do with the clusters
};

/// Clusters the features, and takes all samples of a cluster to have its most frequent label, as an
/// attacker can who knows that label of each cluster from elsewhere.
///
/// Shapes  features (B, ...), labels: B of them.
/// Errors  ShapeError unless there is a label for each sample; as kernel::kmeans for the number of
///         clusters.
template <std::floating_point T>
ClusterGuess guess_by_clusters(const Tensor<T>& features, std::span<const Index> labels,
                               Index clusters, Rng rng) {
  detail::require_labels("guess_by_clusters", features, labels);
  const Index B = features.dim(0);
  const auto found = kernel::kmeans(kernel::dense(features.data(), B, features.size() / B),
                                    clusters, {.start = kernel::KMeansStart::plus_plus}, rng);
  const auto accuracy_of = [&](std::span<const Index> all) {
    std::map<std::pair<Index, Index>, Index> counts;  // of a cluster and a label
    for (std::size_t i = 0; i < all.size(); ++i) ++counts[{found.assignment[i], all[i]}];
    std::map<Index, Index> most;  // of a cluster
    for (const auto& [key, count] : counts) most[key.first] = std::max(most[key.first], count);
    Index sum = 0;
    for (const auto& [cluster, count] : most) sum += count;
    return static_cast<double>(sum) / static_cast<double>(B);
  };
  constexpr int shuffles = 20;
  ClusterGuess guess{.accuracy = accuracy_of(labels), .guessing = 0};
  std::vector<Index> shuffled(labels.begin(), labels.end());
  for (int i = 0; i < shuffles; ++i) {
    rng.shuffle(std::span{shuffled});
    guess.guessing += accuracy_of(shuffled) / shuffles;
  }
  return guess;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::leakage
