// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n, fill_n, max
#include <concepts>   // floating_point
#include <span>       // span

#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/core/shape.hpp>     // Index

// Picks tokens out of every sample, forward and backward. Letters: B samples, N tokens a sample
// before and P after, W numbers a token. index (B, P) says for each sample which tokens are picked.
// The caller checks sizes and indices.

namespace splitvit::kernel {

/// y[b, p] = x[b, index[b, p]], bit for bit.
///
/// Shapes  x (B, N, W), index (B, P), y (B, P, W).
template <std::floating_point T>
void gather_tokens(std::span<const T> x, std::span<T> y, Index N, Index P, Index W,
                   std::span<const Index> index) {
  const auto picked = static_cast<Index>(index.size());
  parallel_for(picked, std::max<Index>(1, 16384 / std::max<Index>(1, W)),
               [&](Index begin, Index end) {
                 for (Index i = begin; i < end; ++i) {
                   const Index token = i / P * N + index[static_cast<std::size_t>(i)];
                   std::copy_n(x.data() + token * W, W, y.data() + i * W);
                 }
               });
}

/// The gradient of gather_tokens: picked tokens get theirs, the others zero.
///
/// Shapes  dy (B, P, W), index (B, P) without repetition in a row, dx (B, N, W).
template <std::floating_point T>
void scatter_tokens(std::span<const T> dy, std::span<T> dx, Index N, Index P, Index W,
                    std::span<const Index> index) {
  const Index B = static_cast<Index>(index.size()) / P;
  parallel_for(B, std::max<Index>(1, 16384 / std::max<Index>(1, N * W)),
               [&](Index begin, Index end) {
                 std::fill_n(dx.data() + begin * N * W, (end - begin) * N * W, T{});
                 for (Index i = begin * P; i < end * P; ++i) {
                   const Index token = i / P * N + index[static_cast<std::size_t>(i)];
                   std::copy_n(dy.data() + i * W, W, dx.data() + token * W);
                 }
               });
}

}  // namespace splitvit::kernel
