// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>   // sqrt
#include <vector>  // vector

#include <splitvit/core/parallel.hpp>   // parallel_for
#include <splitvit/kernel/gemm.hpp>     // multiply, Packed
#include <splitvit/kernel/simd.hpp>     // transform
#include <splitvit/kernel/softmax.hpp>  // softmax_row

// Self-attention of B samples with N tokens in H heads of d = D / H numbers.
//
// Queries, keys and values come as one matrix of B N rows and 3 D columns: all queries, all
// keys, all values, each head by head. The N x N probabilities of a head live only while it is
// worked on; the way back computes them again from each row's log-sum-exp.

namespace splitvit::kernel {

struct AttentionSizes {
  Index B, N, D, H;

  Index head_width() const { return D / H; }
};

namespace detail {

/// Queries (0), keys (1) or values (2) of one head of one sample.
template <class T>
Matrix<T> head_of(T* qkv, const AttentionSizes& s, Index which, Index b, Index h) {
  return {qkv + b * s.N * 3 * s.D + which * s.D + h * s.head_width(), s.N, s.head_width(), 3 * s.D};
}

/// One head's columns of a (B N, D) matrix.
template <class T>
Matrix<T> columns_of(T* x, const AttentionSizes& s, Index b, Index h) {
  return {x + b * s.N * s.D + h * s.head_width(), s.N, s.head_width(), s.D};
}

/// The factor that scores are multiplied by.
template <class T>
T score_scale(const AttentionSizes& s) {
  return T{1} / std::sqrt(static_cast<T>(s.head_width()));
}

}  // namespace detail

/// y (B N, D) = softmax(q k^T / sqrt d) v, head by head.
///
/// log_sums (B, H, N) gets log(sum exp(scores)) of each row. cls_attention (B, N), unless
/// null, gets row 0 of the probabilities, averaged over heads.
template <class T>
void attention_forward(const T* qkv, T* y, T* log_sums, T* cls_attention, const AttentionSizes& s) {
  using P = Pack<T>;
  const T factor = detail::score_scale<T>(s);
  parallel_for(s.B, 1, [&](Index b, Index) {
    std::vector<T> scratch(static_cast<std::size_t>(s.N * s.N));
    const Matrix<T> scores{scratch.data(), s.N, s.N, s.N};
    Packed<T> packed;
    T* cls = cls_attention == nullptr ? nullptr : cls_attention + b * s.N;
    if (cls != nullptr) std::fill_n(cls, s.N, T{});
    for (Index h = 0; h < s.H; ++h) {
      packed.pack(transposed(detail::head_of(qkv, s, 1, b, h)));
      multiply<T>(detail::head_of(qkv, s, 0, b, h), packed, scores);
      T* log_sum = log_sums + (b * s.H + h) * s.N;
      for (Index i = 0; i < s.N; ++i) {
        T* row = scores.row(i);
        transform<T>(
            s.N, row, [factor](const auto& v) { return v * P(factor); }, row);
        log_sum[i] = softmax_row(row, row, s.N);
      }
      if (cls != nullptr)
        transform<T>(
            s.N, cls,
            [share = T{1} / static_cast<T>(s.H)](const auto& sum, const auto& p) {
              return sum + p * P(share);
            },
            cls, scores.row(0));
      packed.pack(detail::head_of(qkv, s, 2, b, h));
      multiply<T>(scores, packed, detail::columns_of(y, s, b, h));
    }
  });
}

/// dqkv (B N, 3 D) from dy (B N, D), given what the way forward read and wrote.
template <class T>
void attention_backward(const T* qkv, const T* y, const T* log_sums, const T* dy, T* dqkv,
                        const AttentionSizes& s) {
  using P = Pack<T>;
  const T factor = detail::score_scale<T>(s);
  parallel_for(s.B, 1, [&](Index b, Index) {
    std::vector<T> scratch(static_cast<std::size_t>(2 * s.N * s.N));
    const Matrix<T> p{scratch.data(), s.N, s.N, s.N};
    const Matrix<T> ds{scratch.data() + s.N * s.N, s.N, s.N, s.N};
    Packed<T> packed;
    LongScratch<T> long_scratch;
    for (Index h = 0; h < s.H; ++h) {
      const auto q = detail::head_of(qkv, s, 0, b, h);
      const auto k = detail::head_of(qkv, s, 1, b, h);
      const auto v = detail::head_of(qkv, s, 2, b, h);
      const auto head_y = detail::columns_of(y, s, b, h);
      const auto head_dy = detail::columns_of(dy, s, b, h);

      packed.pack(transposed(k));
      multiply<T>(q, packed, p);
      packed.pack(transposed(v));
      multiply<T>(head_dy, packed, ds);  // dp = dy v^T, so far
      const T* log_sum = log_sums + (b * s.H + h) * s.N;
      for (Index i = 0; i < s.N; ++i) {
        // forward: p = softmax(factor q k^T), so ds = factor p (dp - <dp, p>), and
        // <dp, p> = <dy, y> since y = p v.
        const T dot = accumulate<T>(
            s.head_width(), [](const auto& g, const auto& out) { return g * out; }, head_dy.row(i),
            head_y.row(i));
        transform<T>(
            s.N, p.row(i),
            [factor, l = log_sum[i]](const auto& score) { return exp(score * P(factor) - P(l)); },
            p.row(i));
        transform<T>(
            s.N, ds.row(i),
            [factor, dot](const auto& dp, const auto& prob) {
              return P(factor) * prob * (dp - P(dot));
            },
            ds.row(i), p.row(i));
      }
      packed.pack(k);
      multiply<T>(ds, packed, detail::head_of(dqkv, s, 0, b, h));  // dq = ds k
      multiply_long<T>(ds, q, detail::head_of(dqkv, s, 1, b, h), Into::replace,
                       long_scratch);  // dk = ds^T q
      multiply_long<T>(p, head_dy, detail::head_of(dqkv, s, 2, b, h), Into::replace,
                       long_scratch);  // dv = p^T dy
    }
  });
}

}  // namespace splitvit::kernel
