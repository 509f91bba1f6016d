// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min
#include <cmath>      // sqrt

#include <splitvit/core/parallel.hpp>      // parallel_for
#include <splitvit/kernel/brain_pair.hpp>  // terms
#include <splitvit/kernel/gemm.hpp>        // Packed
#include <splitvit/kernel/linear.hpp>      // sum_over_blocks
#include <splitvit/kernel/matrix.hpp>      // Scratch
#include <splitvit/kernel/simd.hpp>        // accumulate, transform
#include <splitvit/kernel/vector_ops.hpp>  // add_numbers, dot

// Layer normalisation of M rows of D numbers: y = (x - mean) / sqrt(variance + eps) w + b,
// with the biased variance.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

inline constexpr Index layer_norm_rows = 64;  // rows that a thread takes at a time

/// The learnt scale w and shift b (D), and the small number under the root.
template <class T>
struct NormWeights {
  const T* w;
  const T* b;
  T eps;
};

/// What the forward pass stores of each row: its mean and 1 / sqrt(variance + eps).
template <class T>
struct NormKept {
  T* mean;
  T* scale;

  NormKept from(Index row) const { return {mean + row, scale + row}; }
};

/// y = norm(x), on one thread. Writes kept.
template <class T>
void normalise_rows(const T* x, const NormWeights<T>& weights, const NormKept<T>& kept, T* y,
                    Index M, Index D) {
  using P = Pack<T>;
  for (Index i = 0; i < M; ++i, x += D, y += D) {
    const T centre = accumulate<T>(D, [](const auto& v) { return v; }, x) / static_cast<T>(D);
    // A pass of its own: E[x^2] - E[x]^2 loses all digits for large, almost constant rows.
    transform<T>(D, y, [centre](const auto& v) { return v - P(centre); }, x);
    const T square = accumulate<T>(D, [](const auto& v) { return v * v; }, y);
    const T inverse = T{1} / std::sqrt(square / static_cast<T>(D) + weights.eps);
    transform<T>(
        D, y,
        [inverse](const auto& v, const auto& w, const auto& b) {
          return multiply_add(v * P(inverse), w, b);
        },
        y, weights.w, weights.b);
    kept.mean[i] = centre;
    kept.scale[i] = inverse;
  }
}

/// Recomputes y = norm(x) from kept, to the same bits, as the right-hand factor of a product.
template <class T, class Stored>
void normalise_rows_again(const T* x, const NormWeights<T>& weights, const NormKept<T>& kept,
                          Packed<T, Stored>& y, Index M, Index D) {
  using P = Pack<T>;
  y.begin(M, D);
  for (Index row = 0; row < M; row += terms<Stored>)
    y.write(row, std::min(terms<Stored>, M - row), 0, D, [&](Index i, Index j, Index count, T* to) {
      transform<T>(
          count, to,
          [centre = kept.mean[i], inverse = kept.scale[i]](const auto& v, const auto& w,
                                                           const auto& b) {
            return multiply_add((v - P(centre)) * P(inverse), w, b);
          },
          x + i * D + j, weights.w + j, weights.b + j);
    });
}

/// With n = (x - mean) scale and g = dy w: dx = past + scale (g - mean(g) - n mean(g n)), on one
/// thread; past (M, D) is the gradient of the residual connection, or null. Adds to dw the sums of
/// dy n and to db the sums of dy, unless both are null. dx may be dy or past.
template <class T>
void norm_rows_backward(const T* x, const T* w, const NormKept<T>& kept, const T* dy, const T* past,
                        T* dx, T* dw, T* db, Index M, Index D) {
  using P = Pack<T>;
  const Scratch<T> memory(D);
  T* const n = memory.data();
  for (Index i = 0; i < M; ++i, x += D, dy += D, dx += D) {
    const T centre = kept.mean[i], inverse = kept.scale[i];
    transform<T>(D, n, [=](const auto& v) { return (v - P(centre)) * P(inverse); }, x);
    if (dw != nullptr) {
      transform<T>(
          D, dw,
          [](const auto& sum, const auto& g, const auto& v) { return multiply_add(g, v, sum); }, dw,
          dy, n);
      add_numbers(db, dy, D);
    }
    const T mean_g = dot(dy, w, D) / static_cast<T>(D);
    const T mean_gn =
        accumulate<T>(
            D, [](const auto& g, const auto& v, const auto& u) { return g * v * u; }, dy, w, n) /
        static_cast<T>(D);
    const auto slope = [=](const auto& g, const auto& v, const auto& u) {
      return P(inverse) * (g * v - P(mean_g) - u * P(mean_gn));
    };
    if (past == nullptr) {
      transform<T>(D, dx, slope, dy, w, n);
    } else {
      transform<T>(
          D, dx,
          [&](const auto& around, const auto& g, const auto& v, const auto& u) {
            return around + slope(g, v, u);
          },
          past, dy, w, n);
      past += D;
    }
  }
}

/// normalise_rows on several threads.
template <class T>
void layer_norm_forward(const T* x, const NormWeights<T>& weights, const NormKept<T>& kept, T* y,
                        Index M, Index D) {
  parallel_for(M, layer_norm_rows, [&](Index begin, Index end) {
    normalise_rows(x + begin * D, weights, kept.from(begin), y + begin * D, end - begin, D);
  });
}

/// norm_rows_backward on several threads, without a residual connection.
template <class T>
void layer_norm_backward(const T* x, const T* w, const NormKept<T>& kept, const T* dy, T* dx, T* dw,
                         T* db, Index M, Index D) {
  const auto sums =
      detail::sum_over_blocks<T>(M, layer_norm_rows, 2 * D, [&](Index begin, Index end, T* sum) {
        norm_rows_backward<T>(x + begin * D, w, kept.from(begin), dy + begin * D, nullptr,
                              dx + begin * D, sum, sum + D, end - begin, D);
      });
  add_numbers(dw, sums.data(), D);
  add_numbers(db, sums.data() + D, D);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
