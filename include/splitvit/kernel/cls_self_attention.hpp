// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // fill_n

#include <splitvit/core/parallel.hpp>      // parallel_for
#include <splitvit/kernel/attention.hpp>   // AttentionSizes, gradient_of_scores, softmax_of_scores
#include <splitvit/kernel/linear.hpp>      // linear_forward and its gradients, add_column_sums
#include <splitvit/kernel/matrix.hpp>      // dense, Matrix, Scratch
#include <splitvit/kernel/simd.hpp>        // multiply_add, Pack, transform
#include <splitvit/kernel/vector_ops.hpp>  // add_numbers, add_scaled, dot

// Attention of token 0 of B samples, straight from their tokens x (B, N, D): no token has a key or
// a value. With the rows W_q, W_k and W_v of the layer for queries, keys and values, in each head
//
//   q . (W_k x_j + b_k) = (W_k^T q) . x_j + q . b_k,
//   sum_j p_j (W_v x_j + b_v) = W_v (sum_j p_j x_j) + b_v.
//
// Softmax does not see q . b_k, which all scores of a head have in common, so the gradient of b_k
// is zero. A sample takes 2 N D H + 3 D^2 multiply-adds; with keys and values, it is 2 N D^2 and
// more.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

/// What the forward pass stores for the backward pass.
template <class T>
struct ClsSelfKept {
  T* queries;        ///< (B, D)
  T* directions;     ///< (B, H, D): W_k^T q of each head
  T* probabilities;  ///< (B, H, N)
  T* means;          ///< (B, H, D): the tokens' mean, weighted by probabilities

  static Index numbers(const AttentionSizes& s) { return s.B * (s.D + s.H * (2 * s.D + s.N)); }
  /// In memory with room for that.
  ClsSelfKept(T* memory, const AttentionSizes& s)
      : queries{memory},
        directions{queries + s.B * s.D},
        probabilities{directions + s.B * s.H * s.D},
        means{probabilities + s.B * s.H * s.N} {}
};

namespace detail {
/// The rows for queries (0), keys (1) or values (2) of one head, of the layer's weight (3 D, D).
template <class T>
Matrix<T> head_rows(T* weight, const AttentionSizes& s, Index which, Index h) {
  return dense(weight + (which * s.D + h * s.head_width()) * s.D, s.head_width(), s.D);
}

/// One head of all samples: its columns of a (B, D), and its rows of a (B, H, D).
template <class T>
Matrix<T> of_head(T* x, const AttentionSizes& s, Index h) {
  return {x + h * s.head_width(), s.B, s.head_width(), s.D};
}
template <class T>
Matrix<T> rows_of_head(T* x, const AttentionSizes& s, Index h) {
  return {x + h * s.D, s.B, s.D, s.H * s.D};
}

/// Token 0 of all samples.
template <class T>
Matrix<T> first_tokens(T* x, const AttentionSizes& s) {
  return {x, s.B, s.D, s.N * s.D};
}

/// probabilities (H, N) and means (H, D) from x (N, D) and directions (H, D) of one sample.
template <class T>
void look(const T* x, const T* directions, const T* bias, T* probabilities, T* means,
          const AttentionSizes& s) {
  std::fill_n(means, s.H * s.D, T{});
  for (Index h = 0; h < s.H; ++h) {
    T* const p = probabilities + h * s.N;
    for (Index j = 0; j < s.N; ++j) p[j] = dot(directions + h * s.D, x + j * s.D, s.D);
    softmax_of_scores(p, bias, s.N, score_scale<T>(s));
    for (Index j = 0; j < s.N; ++j) add_scaled(means + h * s.D, x + j * s.D, p[j], s.D);
  }
}

/// dx (N, D) and d_directions (H, D) from d_means (H, D).
template <class T>
void look_backward(const T* x, const T* directions, const T* probabilities, const T* d_means, T* dx,
                   T* d_directions, const AttentionSizes& s) {
  using P = Pack<T>;
  const Scratch<T> memory(s.N);
  T* const ds = memory.data();
  std::fill_n(dx, s.N * s.D, T{});
  std::fill_n(d_directions, s.H * s.D, T{});
  for (Index h = 0; h < s.H; ++h) {
    const T *const u = directions + h * s.D, *const g = d_means + h * s.D;
    const T* const p = probabilities + h * s.N;
    for (Index j = 0; j < s.N; ++j) ds[j] = dot(g, x + j * s.D, s.D);  // for now dp
    gradient_of_scores(ds, p, s.N, score_scale<T>(s));
    // forward: score_j = u . x_j, mean = sum_j p_j x_j
    for (Index j = 0; j < s.N; ++j) {
      add_scaled(d_directions + h * s.D, x + j * s.D, ds[j], s.D);
      transform<T>(
          s.D, dx + j * s.D,
          [share = p[j], slope = ds[j]](const auto& sum, const auto& mean, const auto& direction) {
            return multiply_add(direction, P(slope), multiply_add(mean, P(share), sum));
          },
          dx + j * s.D, g, u);
    }
  }
}
}  // namespace detail

/// y (B, D), what attention of qkv = x weight^T + bias gives for token 0; N >= 1. weight (3 D, D)
/// and bias (3 D) have all queries, all keys, all values, each head by head. score_bias (B, N) or
/// null is added to the scores. Writes kept.
template <class T>
void cls_self_attention_forward(const T* x, const T* weight, const T* bias, const T* score_bias,
                                T* y, const ClsSelfKept<T>& kept, const AttentionSizes& s) {
  if (s.B == 0) return;
  linear_forward<T>(detail::first_tokens(x, s), dense(weight, s.D, s.D), bias,
                    dense(kept.queries, s.B, s.D));
  for (Index h = 0; h < s.H; ++h)
    linear_input_gradient<T>(detail::of_head(kept.queries, s, h),
                             detail::head_rows(weight, s, 1, h),
                             detail::rows_of_head(kept.directions, s, h));
  parallel_for(s.B, 1, [&](Index b, Index) {
    detail::look(x + b * s.N * s.D, kept.directions + b * s.H * s.D,
                 detail::row_of(score_bias, b, s.N), kept.probabilities + b * s.H * s.N,
                 kept.means + b * s.H * s.D, s);
  });
  for (Index h = 0; h < s.H; ++h)
    linear_forward<T>(detail::rows_of_head(kept.means, s, h), detail::head_rows(weight, s, 2, h),
                      bias + 2 * s.D + h * s.head_width(), detail::of_head(y, s, h));
}

/// dx (B, N, D), dweight (3 D, D) and dbias (3 D) from dy (B, D), given what the forward pass read
/// and wrote.
template <class T>
void cls_self_attention_backward(const T* x, const T* weight, const ClsSelfKept<T>& kept,
                                 const T* dy, T* dx, T* dweight, T* dbias,
                                 const AttentionSizes& s) {
  std::fill_n(dbias, 3 * s.D, T{});
  if (s.B == 0) {
    std::fill_n(dweight, 3 * s.D * s.D, T{});
    return;
  }
  const Index heads = s.B * s.H * s.D;
  Scratch<T> memory(2 * heads + 2 * s.B * s.D);
  T *const d_means = memory.data(), *const d_directions = d_means + heads;
  T *const d_queries = d_directions + heads, *const d_first = d_queries + s.B * s.D;
  for (Index h = 0; h < s.H; ++h) {
    const Matrix<const T> head_dy = detail::of_head(dy, s, h);
    linear_input_gradient<T>(head_dy, detail::head_rows(weight, s, 2, h),
                             detail::rows_of_head(d_means, s, h));
    linear_weight_gradient<T>(head_dy, detail::rows_of_head(kept.means, s, h),
                              detail::head_rows(dweight, s, 2, h));
  }
  parallel_for(s.B, 1, [&](Index b, Index) {
    const Index head = b * s.H * s.D;
    detail::look_backward<T>(x + b * s.N * s.D, kept.directions + head,
                             kept.probabilities + b * s.H * s.N, d_means + head, dx + b * s.N * s.D,
                             d_directions + head, s);
  });
  for (Index h = 0; h < s.H; ++h) {
    const Matrix<const T> d_direction = detail::rows_of_head(d_directions, s, h);
    linear_forward<T>(d_direction, detail::head_rows(weight, s, 1, h), nullptr,
                      detail::of_head(d_queries, s, h));
    linear_weight_gradient<T>(detail::of_head(kept.queries, s, h), d_direction,
                              detail::head_rows(dweight, s, 1, h));
  }
  const Matrix<const T> all_queries = dense(d_queries, s.B, s.D);
  linear_weight_gradient<T>(all_queries, detail::first_tokens(x, s), dense(dweight, s.D, s.D));
  linear_input_gradient<T>(all_queries, dense(weight, s.D, s.D), dense(d_first, s.B, s.D));
  for (Index b = 0; b < s.B; ++b) add_numbers(dx + b * s.N * s.D, d_first + b * s.D, s.D);
  add_column_sums<T>(all_queries, dbias);
  add_column_sums<T>(dense(dy, s.B, s.D), dbias + 2 * s.D);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
