// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // fill_n

#include <splitvit/core/parallel.hpp>      // parallel_for
#include <splitvit/kernel/attention.hpp>   // AttentionSizes, head_of, exp_of_score
#include <splitvit/kernel/matrix.hpp>      // Scratch
#include <splitvit/kernel/simd.hpp>        // transform, accumulate, largest
#include <splitvit/kernel/vector_ops.hpp>  // add_scaled, dot, scale_numbers

// Attention of token 0 alone, for a last block whose other outputs are not used: row 0 of what
// attention.hpp computes, with 1 / N of the work.

namespace splitvit::kernel {

/// y (D) = softmax(q_0 k^T / sqrt d + bias) v of one sample, head by head, on one thread. bias (N)
/// or null; probabilities (H, N) gets the row of token 0.
template <class T>
void attend_cls(const T* qkv, T* y, T* probabilities, const AttentionSizes& s,
                const T* bias = nullptr) {
  using P = Pack<T>;
  const Index d = s.head_width();
  const T factor = detail::score_scale<T>(s);
  std::fill_n(y, s.D, T{});
  for (Index h = 0; h < s.H; ++h) {
    const T* const q = detail::head_of(qkv, s, 0, h).data;
    const auto k = detail::head_of(qkv, s, 1, h), v = detail::head_of(qkv, s, 2, h);
    T* const p = probabilities + h * s.N;
    for (Index j = 0; j < s.N; ++j) p[j] = dot(q, k.row(j), d);
    if (bias != nullptr) detail::add_bias(p, bias, s.N, factor);
    const T most = largest(p, s.N) * factor;
    transform<T>(
        s.N, p,
        [&](const auto& score) { return detail::exp_of_score<T>(score, P(factor), P(most)); }, p);
    const T sum = accumulate<T>(s.N, [](const auto& e) { return e; }, p);
    scale_numbers(p, T{1} / sum, p, s.N);
    for (Index j = 0; j < s.N; ++j) add_scaled(y + h * d, v.row(j), p[j], d);
  }
}

/// dqkv (N, 3 D) from dy (D) of one sample, given what attend_cls() read and wrote; on one thread.
template <class T>
void attend_cls_backward(const T* qkv, const T* probabilities, const T* dy, T* dqkv,
                         const AttentionSizes& s) {
  using P = Pack<T>;
  const Index d = s.head_width();
  const T factor = detail::score_scale<T>(s);
  const Scratch<T> memory(s.N);
  T* const ds = memory.data();
  for (Index j = 0; j < s.N; ++j) std::fill_n(dqkv + j * 3 * s.D, s.D, T{});
  for (Index h = 0; h < s.H; ++h) {
    const T* const q = detail::head_of(qkv, s, 0, h).data;
    const auto k = detail::head_of(qkv, s, 1, h), v = detail::head_of(qkv, s, 2, h);
    T* const dq = detail::head_of(dqkv, s, 0, h).data;
    const auto dk = detail::head_of(dqkv, s, 1, h), dv = detail::head_of(dqkv, s, 2, h);
    const T* const p = probabilities + h * s.N;
    const T* const g = dy + h * d;
    for (Index j = 0; j < s.N; ++j) ds[j] = dot(g, v.row(j), d);  // for now dp
    // forward: p = softmax(factor q k^T + bias), so ds = factor p (dp - <dp, p>)
    transform<T>(
        s.N, ds,
        [factor, mean = dot(p, ds, s.N)](const auto& dp, const auto& prob) {
          return P(factor) * prob * (dp - P(mean));
        },
        ds, p);
    for (Index j = 0; j < s.N; ++j) {
      add_scaled(dq, k.row(j), ds[j], d);
      scale_numbers(q, ds[j], dk.row(j), d);
      scale_numbers(g, p[j], dv.row(j), d);
    }
  }
}

/// attend_cls() for every sample, on several threads: y (B, D) from qkv (B N, 3 D), with bias
/// (B, N) or null, and probabilities (B, H, N).
template <class T>
void cls_attention_forward(const T* qkv, T* y, T* probabilities, const AttentionSizes& s,
                           const T* bias = nullptr) {
  parallel_for(s.B, 1, [&](Index b, Index) {
    attend_cls(qkv + b * s.N * 3 * s.D, y + b * s.D, probabilities + b * s.H * s.N, s,
               detail::row_of(bias, b, s.N));
  });
}

/// attend_cls_backward() for every sample, on several threads.
template <class T>
void cls_attention_backward(const T* qkv, const T* probabilities, const T* dy, T* dqkv,
                            const AttentionSizes& s) {
  parallel_for(s.B, 1, [&](Index b, Index) {
    attend_cls_backward(qkv + b * s.N * 3 * s.D, probabilities + b * s.H * s.N, dy + b * s.D,
                        dqkv + b * s.N * 3 * s.D, s);
  });
}

}  // namespace splitvit::kernel
