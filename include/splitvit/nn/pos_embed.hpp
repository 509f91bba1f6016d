// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n, fill, max
#include <cmath>      // lround, sqrt
#include <concepts>   // floating_point
#include <vector>     // vector

#include <splitvit/kernel/resample.hpp>  // Resample
#include <splitvit/tensor/tensor.hpp>    // Tensor

// Position embeddings for another image size.

namespace splitvit::nn {

/// Resamples the positions of a square grid of patches, bicubic; the position of CLS stays.
///
/// Shapes  positions (1, 1 + G * G, D) -> (1, 1 + grid * grid, D).
/// Errors  ShapeError unless the number of patches is a square and grid is at least 1.
/// Source  timm's resample_abs_pos_embed.
template <std::floating_point T>
Tensor<T> resample_positions(const Tensor<T>& positions, Index grid) {
  const Shape& shape = positions.shape();
  const Index patches = shape.rank() == 3 ? shape[1] - 1 : 0;
  const auto old =
      static_cast<Index>(std::lround(std::sqrt(static_cast<double>(std::max<Index>(patches, 0)))));
  if (shape.rank() != 3 || shape[0] != 1 || patches < 1 || old * old != patches || grid < 1)
    throw ShapeError("resample_positions: positions " + shape.text() + " to a grid of " +
                     std::to_string(grid) + ": wanted (1, 1 + G * G, D)");
  const Index D = shape[2];
  const kernel::Resample axis{old, grid};
  Tensor<T> out = Tensor<T>::uninitialised(Shape{1, 1 + grid * grid, D});
  std::copy_n(positions.data(), D, out.data());

  std::vector<double> sum(static_cast<std::size_t>(D));
  for (Index y = 0; y < grid; ++y)
    for (Index x = 0; x < grid; ++x) {
      std::ranges::fill(sum, 0.0);
      const auto row = static_cast<std::size_t>(y), column = static_cast<std::size_t>(x);
      for (Index i = 0; i < axis.count[row]; ++i)
        for (Index j = 0; j < axis.count[column]; ++j) {
          const double weight = axis.weights[static_cast<std::size_t>(y * axis.taps + i)] *
                                axis.weights[static_cast<std::size_t>(x * axis.taps + j)];
          const T* from =
              positions.data() + (1 + (axis.first[row] + i) * old + axis.first[column] + j) * D;
          for (Index d = 0; d < D; ++d)
            sum[static_cast<std::size_t>(d)] += weight * static_cast<double>(from[d]);
        }
      T* to = out.data() + (1 + y * grid + x) * D;
      for (Index d = 0; d < D; ++d) to[d] = static_cast<T>(sum[static_cast<std::size_t>(d)]);
    }
  return out;
}

}  // namespace splitvit::nn
