// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/parallel.hpp>            // parallel_for
#include <splitvit/kernel/matrix.hpp>            // Scratch
#include <splitvit/kernel/token_statistic.hpp>   // TokenStatistic
#include <splitvit/kernel/token_statistics.hpp>  // mean_attention, received_attention, roll_out
#include <splitvit/tensor/tensor.hpp>            // Tensor

namespace splitvit::inline SPLITVIT_BUILD::nn {

using kernel::TokenStatistic;

/// Computes the statistic that a compression stage requires, while the tokens pass through the
/// blocks before a cut. No gradient flows through it.
template <std::floating_point T>
class TokenStatistics {
 public:
  TokenStatistics(TokenStatistic statistic, Index heads) : statistic_{statistic}, heads_{heads} {}

  /// Whether update() must be called for a block.
  bool required(bool last_block) const {
    return statistic_ == TokenStatistic::rollout ||
           (last_block && statistic_ != TokenStatistic::none);
  }

  /// Shapes  qkv (B, N, 3 D): queries, keys and values of a block; bias of its attention scores
  ///         (B, N) or empty.
  void update(const Tensor<T>& qkv, const Tensor<T>& bias = {}) {
    const kernel::AttentionSizes s{qkv.dim(0), qkv.dim(1), qkv.dim(2) / 3, heads_};
    const auto of_each_sample = [&](Index W, const auto& write) {
      Tensor<T> out = Tensor<T>::uninitialised({s.B, s.N, W});
      parallel_for(s.B, 1, [&](Index b, Index) {
        write(qkv.data() + b * s.N * 3 * s.D, out.data() + b * s.N * W,
              bias.empty() ? nullptr : bias.data() + b * s.N);
      });
      return out;
    };
    const auto attention = [&](const T* in, T* out, const T* added) {
      kernel::mean_attention(in, out, s, added);
    };
    if (statistic_ == TokenStatistic::rollout) {
      seen_.push_back(of_each_sample(s.N, attention));
    } else if (statistic_ == TokenStatistic::received) {
      statistics_ = of_each_sample(1, [&](const T* in, T* out, const T* added) {
        const kernel::Scratch<T> mean(s.N * s.N);
        attention(in, mean.data(), added);
        kernel::received_attention(mean.data(), out, s.N);
      });
    } else if (statistic_ == TokenStatistic::value) {
      statistics_ = of_each_sample(1, [&](const T* in, T* out, const T* added) {
        kernel::value_attention(in, out, s, added);
      });
    } else if (statistic_ == TokenStatistic::keys) {
      statistics_ = of_each_sample(
          s.head_width(), [&](const T* in, T* out, const T*) { kernel::mean_keys(in, out, s); });
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
  TokenStatistic statistic_;
  Index heads_;
  Tensor<T> statistics_;
  std::vector<Tensor<T>> seen_;  // of rollout: the mean attention of each block
};

}  // namespace splitvit::inline SPLITVIT_BUILD::nn
