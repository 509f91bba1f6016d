// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point
#include <utility>   // move
#include <vector>    // vector

#include <splitvit/core/parallel.hpp>            // parallel_for
#include <splitvit/kernel/token_statistic.hpp>   // TokenStatistic
#include <splitvit/kernel/token_statistics.hpp>  // mean_attention, received_attention, roll_out
#include <splitvit/tensor/tensor.hpp>            // Tensor

// TokenStatistics: computes what a compression stage needs to know about the tokens, while they
// pass through the blocks before a cut.

namespace splitvit::nn {

/// Reads the attention of the blocks, one after the other. No gradient flows through it.
template <std::floating_point T>
class TokenStatistics {
 public:
  TokenStatistics(kernel::TokenStatistic statistic, Index heads)
      : statistic_{statistic}, heads_{heads} {}

  /// Whether update() must be called for a block.
  bool required(bool last_block) const {
    using kernel::TokenStatistic;
    return statistic_ == TokenStatistic::rollout ||
           (last_block && statistic_ != TokenStatistic::none);
  }

  /// Shapes  qkv (B, N, 3 D): queries, keys and values of a block; bias of its attention scores
  ///         (B, N) or empty.
  void update(const Tensor<T>& qkv, const Tensor<T>& bias = {}) {
    using kernel::TokenStatistic;
    const kernel::AttentionSizes s{qkv.dim(0), qkv.dim(1), qkv.dim(2) / 3, heads_};
    const auto of_each_sample = [&](Index numbers, const auto& write) {
      Tensor<T> out = Tensor<T>::uninitialised({s.B, s.N, numbers});
      parallel_for(s.B, 1, [&](Index b, Index) {
        write(qkv.data() + b * s.N * 3 * s.D, out.data() + b * s.N * numbers,
              bias.empty() ? nullptr : bias.data() + b * s.N);
      });
      return out;
    };
    const auto attention = [&] {
      return of_each_sample(s.N, [&](const T* in, T* out, const T* added) {
        kernel::mean_attention(in, out, s, added);
      });
    };
    switch (statistic_) {
      case TokenStatistic::none:
        return;
      case TokenStatistic::rollout:
        seen_.push_back(attention());
        return;
      case TokenStatistic::received: {
        const Tensor<T> looks = attention();
        statistics_ = Tensor<T>::uninitialised({s.B, s.N, 1});
        parallel_for(s.B, 1, [&](Index b, Index) {
          kernel::received_attention(looks.data() + b * s.N * s.N, statistics_.data() + b * s.N,
                                     s.N);
        });
        return;
      }
      case TokenStatistic::value:
        statistics_ = of_each_sample(1, [&](const T* in, T* out, const T* added) {
          kernel::value_attention(in, out, s, added);
        });
        return;
      case TokenStatistic::keys:
        statistics_ = of_each_sample(
            s.head_width(), [&](const T* in, T* out, const T*) { kernel::mean_keys(in, out, s); });
        return;
    }
  }

  /// Shapes  (B, N, W), where W is D / heads for keys and 1 otherwise; (0) if nothing is required.
  Tensor<T> result() && {
    if (seen_.empty()) return std::move(statistics_);
    const Index B = seen_[0].dim(0), N = seen_[0].dim(1);
    Tensor<T> rows{{B, N, 1}};
    parallel_for(B, 1, [&](Index b, Index) {
      T* const row = rows.data() + b * N;
      row[0] = T{1};
      for (auto attention = seen_.rbegin(); attention != seen_.rend(); ++attention)
        kernel::roll_out(attention->data() + b * N * N, row, N);
    });
    return rows;
  }

 private:
  kernel::TokenStatistic statistic_;
  Index heads_;
  Tensor<T> statistics_;
  std::vector<Tensor<T>> seen_;  // of rollout: the mean attention of each block
};

}  // namespace splitvit::nn
