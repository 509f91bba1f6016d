// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min, sort
#include <cmath>      // sqrt
#include <concepts>   // floating_point
#include <limits>     // numeric_limits

#include <splitvit/compress/detail/lloyd.hpp>  // Points, points_of, squared_distance, power_of_two_scale
#include <splitvit/core/parallel.hpp>          // parallel_for
#include <splitvit/core/workspace.hpp>         // RecycledVector
#include <splitvit/tensor/tensor.hpp>          // Tensor

// How much a token stands out, told from the tokens alone. Letter: P tokens that are taken.

namespace splitvit::compress::detail {

/// Calls each(b, points) with the tokens of every sample, on several threads.
template <std::floating_point T, class Each>
void for_each_sample(const Tensor<T>& tokens, const Each& each) {
  const Index N = tokens.dim(1), D = tokens.dim(2);
  const double unit = power_of_two_scale(tokens);
  parallel_for(tokens.dim(0), 1,
               [&](Index b, Index) { each(b, points_of(tokens.data() + b * N * D, N, D, unit)); });
}

/// The mean of all patches, which are all tokens but CLS: one row.
inline Points mean_of_patches(const Points& x) {
  Points mean{1, x.width};
  const auto sum = mean.row(0);
  for (Index j = 1; j < x.count; ++j) {
    const auto row = x.row(j);
    for (std::size_t d = 0; d < sum.size(); ++d) sum[d] += row[d];
  }
  if (x.count > 1)
    for (double& value : sum) value /= static_cast<double>(x.count - 1);
  return mean;
}

/// What token_distances measures from.
enum class From { zero, mean_of_patches };

/// The distance of each token from zero or from the mean of the patches, up to a factor that is
/// the same for all.
///
/// Shapes  tokens (B, N, D) -> (B, N).
template <std::floating_point T>
Tensor<double> token_distances(const Tensor<T>& tokens, From from) {
  const Index N = tokens.dim(1);
  Tensor<double> distances{{tokens.dim(0), N}};
  for_each_sample(tokens, [&](Index b, const Points& x) {
    const Points origin = from == From::zero ? Points{1, x.width} : mean_of_patches(x);
    for (Index j = 0; j < N; ++j)
      distances[b * N + j] = std::sqrt(squared_distance(x.row(j), origin.row(0)));
  });
  return distances;
}

/// Token 0, then again and again the token that is farthest from the nearest one taken; the
/// lowest of several. Ascending in the end.
///
/// Shapes  tokens (B, N, D) -> (B, P).
template <std::floating_point T>
Tensor<Index> farthest_tokens(const Tensor<T>& tokens, Index P) {
  Tensor<Index> out{{tokens.dim(0), P}};
  for_each_sample(tokens, [&](Index b, const Points& x) {
    constexpr double taken = -1.0;
    RecycledVector<double> nearest(at(x.count), std::numeric_limits<double>::infinity());
    Index* const chosen = out.data() + b * P;
    nearest[0] = taken;
    for (Index p = 1; p < P; ++p) {
      Index farthest = -1;
      for (Index j = 1; j < x.count; ++j) {
        double& distance = nearest[at(j)];
        if (distance == taken) continue;
        distance = std::min(distance, squared_distance(x.row(j), x.row(chosen[p - 1]), distance));
        if (farthest < 0 || distance > nearest[at(farthest)]) farthest = j;
      }
      nearest[at(farthest)] = taken;
      chosen[p] = farthest;
    }
    std::sort(chosen, chosen + P);
  });
  return out;
}

}  // namespace splitvit::compress::detail
