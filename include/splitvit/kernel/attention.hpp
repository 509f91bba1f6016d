// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // fill, fill_n, max, min
#include <cmath>      // sqrt, log

#include <splitvit/core/parallel.hpp>      // parallel_for
#include <splitvit/kernel/gemm.hpp>        // multiply, multiply_long, Packed
#include <splitvit/kernel/matrix.hpp>      // Matrix, Scratch
#include <splitvit/kernel/simd.hpp>        // accumulate, exp_of_nonpositive, largest, transform
#include <splitvit/kernel/vector_ops.hpp>  // add_scaled, dot, scale_numbers

// Self-attention of B samples with N tokens in H heads of d = D / H numbers. The matrix qkv
// (B N, 3 D) has all queries, all keys, all values, each head by head. Probabilities exist only for
// some queries at a time; the backward pass computes them again from each row's log-sum-exp.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

struct AttentionSizes {
  Index B, N, D, H;

  Index head_width() const { return D / H; }
};

namespace detail {
/// Queries (0), keys (1) or values (2) of one head of one sample.
template <class T>
Matrix<T> head_of(T* qkv, const AttentionSizes& s, Index which, Index h) {
  return {qkv + which * s.D + h * s.head_width(), s.N, s.head_width(), 3 * s.D};
}

/// One head's columns of an (N, D) matrix.
template <class T>
Matrix<T> columns_of(T* x, const AttentionSizes& s, Index h) {
  return {x + h * s.head_width(), s.N, s.head_width(), s.D};
}

/// The factor that scores are multiplied by.
template <class T>
T score_scale(const AttentionSizes& s) {
  return T{1} / std::sqrt(static_cast<T>(s.head_width()));
}

/// The queries of a strip. All strips have equal height, at most 96 rows.
inline Index queries_a_strip(Index N) {
  const Index strips = std::max<Index>(1, (N + 95) / 96);
  return (N + strips - 1) / strips;
}

/// Columns of a strip: whole tiles. The columns after N are computed and not used.
template <class T>
Index strip_cols(Index N) {
  return (N + tile_cols<T> - 1) / tile_cols<T> * tile_cols<T>;
}

/// The columns that softmax works on: whole packs.
template <class T>
Index pack_cols(Index N) {
  return (N + lanes<T> - 1) / lanes<T> * lanes<T>;
}

/// exp(score factor - most), where most is the largest score factor. Product and difference are
/// rounded separately, so that the largest score gives exactly 1.
template <class T, class P>
P exp_of_score(const P& score, const P& factor, const P& most) {
  return exp_of_nonpositive<T>(smaller(P(T{}), score * factor - most));
}

/// Adds a bias to a row of N scores: factor score becomes factor score + bias.
template <class T>
void add_bias(T* scores, const T* bias, Index N, T factor) {
  transform<T>(
      N, scores,
      [inverse = T{1} / factor](const auto& score, const auto& b) {
        return multiply_add(b, Pack<T>(inverse), score);
      },
      scores, bias);
}

/// The sum of a row of exponentials.
template <class T>
struct RowSum {
  T inverse;  ///< 1 / sum
  T log;      ///< of the sum of exp(factor score)
};

/// Turns a row of N scores into exp(factor score - the largest of them), then zeros up to
/// pack_cols(N).
template <class T>
RowSum<T> exponentials(T* row, Index N, T factor) {
  using P = Pack<T>;
  const Index cols = pack_cols<T>(N);
  std::fill(row + N, row + cols, std::numeric_limits<T>::lowest());
  const T most = largest(row, cols) * factor;
  P sums(T{});
  transform<T>(
      cols, row,
      [&](const auto& score) {
        const P e = exp_of_score<T>(score, P(factor), P(most));
        sums = sums + e;
        return e;
      },
      row);
  const T sum = sum_lanes<T>(sums);
  return {T{1} / sum, most + std::log(sum)};
}

/// Turns a row of N scores into probabilities: softmax(factor scores + bias).
template <class T>
void softmax_of_scores(T* row, const T* bias, Index N, T factor) {
  using P = Pack<T>;
  if (bias != nullptr) add_bias(row, bias, N, factor);
  const T most = largest(row, N) * factor;
  transform<T>(
      N, row, [&](const auto& score) { return exp_of_score<T>(score, P(factor), P(most)); }, row);
  const T sum = accumulate<T>(N, [](const auto& e) { return e; }, row);
  scale_numbers(row, T{1} / sum, row, N);
}

/// In place, from the gradient dp (N) of the probabilities p to the gradient of the scores,
/// factor p_i (dp_i - sum_j dp_j p_j).
template <class T>
void gradient_of_scores(T* dp, const T* p, Index N, T factor) {
  using P = Pack<T>;
  transform<T>(
      N, dp,
      [factor, mean = dot(p, dp, N)](const auto& d, const auto& prob) {
        return P(factor) * prob * (d - P(mean));
      },
      dp, p);
}

/// Row b of an optional (B, N).
template <class T>
T* row_of(T* matrix, Index b, Index N) {
  return matrix == nullptr ? nullptr : matrix + b * N;
}

/// A strip for `rows` queries in the caller's memory.
template <class T, class Stored = T>
Matrix<T> strip_of(T* memory, const AttentionSizes& s, Index rows) {
  const Index cols = strip_cols<T>(s.N);
  return {memory, rows, has_tiles<T, Stored> ? cols : s.N, cols};
}
}  // namespace detail

/// y (N, D) = softmax(q k^T / sqrt d + bias) v of one sample, on one thread. bias (N) is one number
/// for each key; null: zero. log_sums (H, N) gets log(sum exp(scores)) of each row. cls_attention
/// (N), unless null, gets row 0 of the probabilities, averaged over heads. Stored is the type of
/// the factors in the products, here and below (gemm.hpp).
template <class T, class Stored = T>
void attend(const T* qkv, T* y, T* log_sums, T* cls_attention, const AttentionSizes& s,
            const T* bias = nullptr) {
  using P = Pack<T>;
  const T factor = detail::score_scale<T>(s);
  const Index height = detail::queries_a_strip(s.N);
  Scratch<T> memory(height * detail::strip_cols<T>(s.N) + height);
  Packed<T, Stored> keys, values;
  if (cls_attention != nullptr) std::fill_n(cls_attention, s.N, T{});
  for (Index h = 0; h < s.H; ++h) {
    keys.pack(transposed(detail::head_of(qkv, s, 1, h)));
    values.pack(detail::head_of(qkv, s, 2, h));
    for (Index first = 0; first < s.N; first += height) {
      const Index last = std::min(first + height, s.N);
      const Matrix<T> scores = detail::strip_of<T, Stored>(memory.data(), s, last - first);
      T* inverse = memory.data() + height * detail::strip_cols<T>(s.N);  // 1 / sum of each row
      multiply<T>(detail::head_of(qkv, s, 0, h).slice(first, last), keys, scores);
      for (Index i = 0; i < scores.rows; ++i) {
        if (bias != nullptr) detail::add_bias(scores.row(i), bias, s.N, factor);
        const auto sum = detail::exponentials(scores.row(i), s.N, factor);
        inverse[i] = sum.inverse;
        log_sums[h * s.N + first + i] = sum.log;
      }
      if (cls_attention != nullptr && first == 0)
        transform<T>(
            s.N, cls_attention,
            [share = inverse[0] / static_cast<T>(s.H)](const auto& sum, const auto& p) {
              return multiply_add(p, P(share), sum);
            },
            cls_attention, scores.row(0));
      const Matrix<T> out = detail::columns_of(y, s, h).slice(first, last);
      multiply<T>(Matrix<const T>{scores.data, scores.rows, s.N, scores.stride}, values, out,
                  Into::replace, nullptr, [&](Index row, Index rows, Index column, Index width) {
                    for (Index i = row; i < row + rows; ++i)
                      transform<T>(
                          width, out.row(i) + column,
                          [share = inverse[i]](const auto& v) { return v * P(share); },
                          out.row(i) + column);
                  });
    }
  }
}

/// dqkv (N, 3 D) from dy (N, D) of one sample, given what attend() read and wrote; on one thread.
template <class T, class Stored = T>
void attend_backward(const T* qkv, const T* y, const T* log_sums, const T* dy, T* dqkv,
                     const AttentionSizes& s, const T* bias = nullptr) {
  using P = Pack<T>;
  const T factor = detail::score_scale<T>(s);
  const Index height = detail::queries_a_strip(s.N);
  const Index strip = height * detail::strip_cols<T>(s.N);
  const Index cols = detail::pack_cols<T>(s.N);
  Scratch<T> memory(2 * strip);
  Packed<T, Stored> keys_across, values_across, keys, packed;
  for (Index h = 0; h < s.H; ++h) {
    const auto k = detail::head_of(qkv, s, 1, h);
    keys_across.pack(transposed(k));
    values_across.pack(transposed(detail::head_of(qkv, s, 2, h)));
    keys.pack(k);
    for (Index first = 0; first < s.N; first += height) {
      const Index last = std::min(first + height, s.N);
      const auto q = detail::head_of(qkv, s, 0, h).slice(first, last);
      const auto head_y = detail::columns_of(y, s, h).slice(first, last);
      const auto head_dy = detail::columns_of(dy, s, h).slice(first, last);
      const Matrix<T> p = detail::strip_of<T, Stored>(memory.data(), s, last - first);
      const Matrix<T> ds = detail::strip_of<T, Stored>(memory.data() + strip, s, last - first);
      multiply<T>(q, keys_across, p);
      multiply<T>(head_dy, values_across, ds);  // for now dp = dy v^T
      for (Index i = 0; i < p.rows; ++i) {
        if (bias != nullptr) detail::add_bias(p.row(i), bias, s.N, factor);
        // forward: p = softmax(factor q k^T + bias), so ds = factor p (dp - <dp, p>), and
        // <dp, p> = <dy, y> since y = p v.
        const T mean = dot<T>(head_dy.row(i), head_y.row(i), s.head_width());
        transform<T>(
            cols, p.row(i),
            [factor, l = log_sums[h * s.N + first + i]](const auto& score) {
              return detail::exp_of_score<T>(score, P(factor), P(l));
            },
            p.row(i));
        transform<T>(
            cols, ds.row(i),
            [factor, mean](const auto& dp, const auto& prob) {
              return P(factor) * prob * (dp - P(mean));
            },
            ds.row(i), p.row(i));
      }
      const Matrix<const T> probabilities{p.data, p.rows, s.N, p.stride};
      const Matrix<const T> slopes{ds.data, ds.rows, s.N, ds.stride};
      const Into into = first == 0 ? Into::replace : Into::add;
      // dq = ds k, dk = ds^T q, dv = p^T dy
      multiply<T>(slopes, keys, detail::head_of(dqkv, s, 0, h).slice(first, last));
      multiply_long<T>(slopes, q, detail::head_of(dqkv, s, 1, h), into, packed);
      multiply_long<T>(probabilities, head_dy, detail::head_of(dqkv, s, 2, h), into, packed);
    }
  }
}

/// attend() for every sample, on several threads: bias and cls_attention are (B, N) or null.
template <class T, class Stored = T>
void attention_forward(const T* qkv, T* y, T* log_sums, T* cls_attention, const AttentionSizes& s,
                       const T* bias = nullptr) {
  parallel_for(s.B, 1, [&](Index b, Index) {
    attend<T, Stored>(qkv + b * s.N * 3 * s.D, y + b * s.N * s.D, log_sums + b * s.H * s.N,
                      detail::row_of(cls_attention, b, s.N), s, detail::row_of(bias, b, s.N));
  });
}

/// attend_backward() for every sample, on several threads.
template <class T, class Stored = T>
void attention_backward(const T* qkv, const T* y, const T* log_sums, const T* dy, T* dqkv,
                        const AttentionSizes& s, const T* bias = nullptr) {
  parallel_for(s.B, 1, [&](Index b, Index) {
    attend_backward<T, Stored>(qkv + b * s.N * 3 * s.D, y + b * s.N * s.D, log_sums + b * s.H * s.N,
                               dy + b * s.N * s.D, dqkv + b * s.N * 3 * s.D, s,
                               detail::row_of(bias, b, s.N));
  });
}

/// attend() for token 0 alone, with 1 / N of the work: y (D) = softmax(q_0 k^T / sqrt d + bias) v.
/// probabilities (H, N) gets the row of token 0.
template <class T>
void attend_cls(const T* qkv, T* y, T* probabilities, const AttentionSizes& s,
                const T* bias = nullptr) {
  const Index d = s.head_width();
  const T factor = detail::score_scale<T>(s);
  std::fill_n(y, s.D, T{});
  for (Index h = 0; h < s.H; ++h) {
    const T* const q = detail::head_of(qkv, s, 0, h).data;
    const auto k = detail::head_of(qkv, s, 1, h), v = detail::head_of(qkv, s, 2, h);
    T* const p = probabilities + h * s.N;
    for (Index j = 0; j < s.N; ++j) p[j] = dot(q, k.row(j), d);
    detail::softmax_of_scores(p, bias, s.N, factor);
    for (Index j = 0; j < s.N; ++j) add_scaled(y + h * d, v.row(j), p[j], d);
  }
}

/// dqkv (N, 3 D) from dy (D) of one sample, given what attend_cls() read and wrote; on one thread.
template <class T>
void attend_cls_backward(const T* qkv, const T* probabilities, const T* dy, T* dqkv,
                         const AttentionSizes& s) {
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
    detail::gradient_of_scores(ds, p, s.N, factor);
    for (Index j = 0; j < s.N; ++j) {
      add_scaled(dq, k.row(j), ds[j], d);
      scale_numbers(q, ds[j], dk.row(j), d);
      scale_numbers(g, p[j], dv.row(j), d);
    }
  }
}

/// attend_cls() for every sample, on several threads: y is (B, D), probabilities (B, H, N).
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

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
