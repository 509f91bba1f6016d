// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>   // sqrt
#include <vector>  // vector

#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/kernel/linear.hpp>  // add_pairwise
#include <splitvit/kernel/simd.hpp>    // transform, accumulate

// Layer normalisation of M rows of D numbers: y = (x - mean) / sqrt(variance + eps) w + b,
// with the biased variance.

namespace splitvit::kernel {

inline constexpr Index layer_norm_rows = 64;  // a piece of work; depends on nothing

/// Also stores each row's mean and 1 / sqrt(variance + eps), which the way back needs.
template <class T>
void layer_norm_forward(const T* x, const T* w, const T* b, T eps, T* y, T* mean, T* scale, Index M,
                        Index D) {
  parallel_for(M, layer_norm_rows, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const T* row = x + i * D;
      using P = Pack<T>;
      const T centre = accumulate<T>(
                           D, [](const auto& v) { return v; }, row) /
                       static_cast<T>(D);
      // Two passes over a row in L1: the textbook E[x^2] - E[x]^2 loses all digits for rows
      // that are large and almost constant.
      T* out = y + i * D;
      transform<T>(
          D, out, [centre](const auto& v) { return v - P(centre); }, row);
      const T square = accumulate<T>(
          D, [](const auto& v) { return v * v; }, out);
      const T inverse = T{1} / std::sqrt(square / static_cast<T>(D) + eps);
      transform<T>(
          D, out,
          [inverse](const auto& v, const auto& weight, const auto& bias) {
            return v * P(inverse) * weight + bias;
          },
          out, w, b);
      mean[i] = centre;
      scale[i] = inverse;
    }
  });
}

/// With n = (x - mean) scale and g = dy w:  dx = scale (g - mean(g) - n mean(g n)).
/// Adds to dw the sums of dy n and to db the sums of dy.
template <class T>
void layer_norm_backward(const T* x, const T* w, const T* mean, const T* scale, const T* dy, T* dx,
                         T* dw, T* db, Index M, Index D) {
  const Index parts = (M + layer_norm_rows - 1) / layer_norm_rows;
  std::vector<T> sums(static_cast<std::size_t>(parts * 2 * D), T{});
  parallel_for(M, layer_norm_rows, [&](Index begin, Index end) {
    T* weight_sum = sums.data() + begin / layer_norm_rows * 2 * D;
    T* bias_sum = weight_sum + D;
    std::vector<T> normal(static_cast<std::size_t>(D));
    T* n = normal.data();
    using P = Pack<T>;
    for (Index i = begin; i < end; ++i) {
      const T* gradient = dy + i * D;
      const T centre = mean[i];
      const T inverse = scale[i];
      transform<T>(
          D, n, [=](const auto& v) { return (v - P(centre)) * P(inverse); }, x + i * D);
      transform<T>(
          D, weight_sum, [](const auto& s, const auto& g, const auto& v) { return s + g * v; },
          weight_sum, gradient, n);
      detail::add_numbers(bias_sum, gradient, D);
      const T mean_g = accumulate<T>(
                           D, [](const auto& g, const auto& v) { return g * v; }, gradient, w) /
                       static_cast<T>(D);
      const T mean_gn =
          accumulate<T>(
              D, [](const auto& g, const auto& v, const auto& u) { return g * v * u; }, gradient, w,
              n) /
          static_cast<T>(D);
      transform<T>(
          D, dx + i * D,
          [=](const auto& g, const auto& v, const auto& u) {
            return P(inverse) * (g * v - P(mean_g) - u * P(mean_gn));
          },
          gradient, w, n);
    }
  });
  if (parts == 0) return;
  detail::add_pairwise(sums.data(), parts, 2 * D);
  detail::add_numbers(dw, sums.data(), D);
  detail::add_numbers(db, sums.data() + D, D);
}

}  // namespace splitvit::kernel
