// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n, fill_n, min
#include <cmath>      // sqrt

#include <splitvit/kernel/attention.hpp>   // attend_cls, AttentionSizes, head_of, exponentials
#include <splitvit/kernel/matrix.hpp>      // Scratch
#include <splitvit/kernel/vector_ops.hpp>  // add_scaled, dot, scale_numbers

// The statistics of token_statistic.hpp, of one sample, on one thread. qkv and bias are as for
// attend().

namespace splitvit::inline SPLITVIT_BUILD::kernel {

/// out (N, N): the mean over heads of the attention of every token.
template <class T>
void mean_attention(const T* qkv, T* out, const AttentionSizes& s, const T* bias = nullptr) {
  const T factor = detail::score_scale<T>(s);
  const Index height = detail::queries_a_strip(s.N);
  Scratch<T> memory(height * detail::strip_cols<T>(s.N));
  Packed<T> keys;
  std::fill_n(out, s.N * s.N, T{});
  for (Index h = 0; h < s.H; ++h) {
    keys.pack(transposed(detail::head_of(qkv, s, 1, h)));
    for (Index first = 0; first < s.N; first += height) {
      const Index last = std::min(first + height, s.N);
      const Matrix<T> scores = detail::strip_of(memory.data(), s, last - first);
      multiply<T>(detail::head_of(qkv, s, 0, h).slice(first, last), keys, scores);
      for (Index i = 0; i < scores.rows; ++i) {
        if (bias != nullptr) detail::add_bias(scores.row(i), bias, s.N, factor);
        const auto sum = detail::exponentials(scores.row(i), s.N, factor);
        add_scaled(out + (first + i) * s.N, scores.row(i), sum.inverse / static_cast<T>(s.H), s.N);
      }
    }
  }
}

/// out (N) from mean_attention()'s (N, N).
template <class T>
void received_attention(const T* attention, T* out, Index N) {
  std::fill_n(out, N, T{});
  for (Index i = 0; i < N; ++i) add_scaled(out, attention + i * N, T{1} / static_cast<T>(N), N);
}

/// row (N) becomes row (A + 1) / 2 for mean_attention()'s A (N, N).
template <class T>
void roll_out(const T* attention, T* row, Index N) {
  const Scratch<T> memory(N);
  T* const before = memory.data();
  std::copy_n(row, N, before);
  scale_numbers(before, T{0.5}, row, N);
  for (Index i = 0; i < N; ++i) add_scaled(row, attention + i * N, before[i] / T{2}, N);
}

/// out (N): TokenStatistic::value.
template <class T>
void value_attention(const T* qkv, T* out, const AttentionSizes& s, const T* bias = nullptr) {
  const Index d = s.head_width();
  const Scratch<T> memory(s.D + s.H * s.N);
  T* const probabilities = memory.data() + s.D;
  attend_cls(qkv, memory.data(), probabilities, s, bias);
  std::fill_n(out, s.N, T{});
  for (Index h = 0; h < s.H; ++h) {
    const auto v = detail::head_of(qkv, s, 2, h);
    for (Index j = 0; j < s.N; ++j)
      out[j] += probabilities[h * s.N + j] * std::sqrt(dot(v.row(j), v.row(j), d));
  }
}

/// out (N, D / H): TokenStatistic::keys.
template <class T>
void mean_keys(const T* qkv, T* out, const AttentionSizes& s) {
  const Index d = s.head_width();
  std::fill_n(out, s.N * d, T{});
  for (Index h = 0; h < s.H; ++h) {
    const auto k = detail::head_of(qkv, s, 1, h);
    for (Index j = 0; j < s.N; ++j)
      add_scaled(out + j * d, k.row(j), T{1} / static_cast<T>(s.H), d);
  }
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
