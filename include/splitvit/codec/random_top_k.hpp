// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // fill
#include <concepts>   // floating_point
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint32_t, uint8_t
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string
#include <utility>    // swap
#include <vector>     // vector

#include <splitvit/codec/concepts.hpp>              // Decoded, receipts
#include <splitvit/codec/detail/finite_values.hpp>  // require_finite
#include <splitvit/codec/detail/kept_values.hpp>    // KeptReceipt, encode_kept
#include <splitvit/codec/float32.hpp>               // Float32
#include <splitvit/codec/top_k.hpp>                 // TopK
#include <splitvit/core/random.hpp>                 // Rng
#include <splitvit/core/state.hpp>                  // show_state
#include <splitvit/tensor/tensor.hpp>               // Tensor, TensorView

// RandomTopK: mostly each sample's largest values, and some of the others.

namespace splitvit::codec {

namespace detail {

/// How likely a draw is to take one of the k largest of n values, and one of the others.
struct DrawWeights {
  double largest;
  double other;
};

inline DrawWeights draw_weights(double alpha, Index k, Index n) {
  return {(1 - alpha) / static_cast<double>(k), k == n ? 0.0 : alpha / static_cast<double>(n - k)};
}

/// Draws of one sample; keeps its memory for the next one.
class EntryDrawer {
 public:
  EntryDrawer(double alpha, Index k, Index n)
      : weights_{draw_weights(alpha, k, n)},
        drawn_(static_cast<std::size_t>(n)),
        others_(static_cast<std::size_t>(n - k)) {}

  /// Replaces the k largest of n by k draws without replacement, each by its weight among what
  /// is left; all ascending.
  ///
  /// The draws of one kind are alike, so it is enough to draw of which kind each is, and then
  /// to choose as many of either list.
  void draw(std::span<std::uint32_t> entries, Rng& rng) {
    std::ranges::fill(drawn_, std::uint8_t{0});
    for (const std::uint32_t entry : entries) drawn_[entry] = 1;
    std::size_t next = 0;
    for (std::size_t i = 0; i < drawn_.size(); ++i)
      if (drawn_[i] == 0) others_[next++] = static_cast<std::uint32_t>(i);

    const std::size_t k = entries.size();
    const double ratio = weights_.other / weights_.largest;
    std::size_t a = k, b = others_.size();
    for (std::size_t i = 0; i < k; ++i) {
      // u (a w1 + b w2) < a w1, in a form without sums of products
      const double odds =
          static_cast<double>(b) * ratio / static_cast<double>(a);  // infinite: a = 0
      if (rng.uniform() < 1 / (1 + odds))
        --a;
      else
        --b;
    }
    choose(entries, k - a, rng);
    choose(others_, a, rng);

    std::ranges::fill(drawn_, std::uint8_t{0});
    for (std::size_t i = 0; i < k - a; ++i) drawn_[entries[i]] = 1;
    for (std::size_t i = 0; i < a; ++i) drawn_[others_[i]] = 1;
    next = 0;
    for (std::size_t i = 0; i < drawn_.size(); ++i)
      if (drawn_[i] != 0) entries[next++] = static_cast<std::uint32_t>(i);
  }

 private:
  /// Brings a random choice of `count` of a list to its front.
  static void choose(std::span<std::uint32_t> list, std::size_t count, Rng& rng) {
    for (std::size_t i = 0; i < count; ++i)
      std::swap(list[i],
                list[i + static_cast<std::size_t>(rng.below(static_cast<Index>(list.size() - i)))]);
  }

  DrawWeights weights_;
  std::vector<std::uint8_t> drawn_;    // whether a value is among them
  std::vector<std::uint32_t> others_;  // those that are not among the largest
};

}  // namespace detail

/// Sends k values of each sample, drawn without replacement: each of the k largest with weight
/// (1 - alpha) / k, each other one with alpha / (n - k). So now and then the others are seen,
/// too. alpha = 0 sends what TopK sends.
///
/// Shapes  x (B, ...): B samples of n < 2^32 values; k as in TopK.
/// Sent    As by TopK, which can read it.
/// Grad    That of the values sent; zero elsewhere.
/// Errors  As TopK; std::invalid_argument also for an alpha outside [0, 1).
/// Source  "Reducing Communication for Split Learning by Randomized Top-k Sparsification",
///         arXiv:2305.18469; authors' code: zfscgy/SplitLearning.
/// Differs The authors' plain Top-K keeps more than k of equal values.
template <class Values = Float32>
struct RandomTopK {
  double rate = 0.1;   ///< of the values of a sample, in (0, 1]
  double alpha = 0.1;  ///< how likely a draw leaves the k largest, in [0, 1)
  Values values = {};  ///< writes the values that are sent

  template <std::floating_point T>
  KeptReceipt<SenderReceipt<Values, T>> encode(TensorView<const T> x, std::vector<std::byte>& out,
                                               Rng& rng) {
    detail::require_rate(rate, "RandomTopK");
    if (!(alpha >= 0 && alpha < 1))
      throw std::invalid_argument("RandomTopK: alpha is " + exact_text(alpha) + ", wanted [0, 1)");
    const Index n = detail::sample_size(x.shape(), "RandomTopK");
    const Index k = detail::kept_entries(rate, n);
    detail::require_finite(x, "RandomTopK");
    auto indices = detail::largest_of_samples(x, k);
    if (k < n && alpha > 0) {
      detail::EntryDrawer drawer{alpha, k, n};
      for (Index b = 0; b < x.dim(0); ++b)
        drawer.draw({indices.data() + b * k, static_cast<std::size_t>(k)}, rng);
    }
    return detail::encode_kept<T>(x, std::move(indices), k, values, out, rng);
  }

  template <std::floating_point T>
  Decoded<T, KeptReceipt<ReceiverReceipt<Values, T>>> decode(std::span<const std::byte> in,
                                                             const Shape& shape) {
    detail::require_rate(rate, "RandomTopK");
    const Index n = detail::announced_sample_size(shape, "RandomTopK");
    return detail::decode_kept<T>(in, shape, detail::kept_entries(rate, n), values, "RandomTopK");
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient,
                       const KeptReceipt<ReceiverReceipt<Values, T>>& receipt,
                       std::vector<std::byte>& out, Rng& rng) {
    detail::require_finite(gradient, "RandomTopK");
    detail::encode_kept_gradient<T>(gradient, receipt, values, out, rng, "RandomTopK");
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in,
                            const KeptReceipt<SenderReceipt<Values, T>>& receipt,
                            const Shape& shape) {
    return detail::decode_kept_gradient<T>(in, receipt, shape, values, "RandomTopK");
  }

  /// The codec for evaluation, where nothing is left to chance.
  TopK<Values> for_evaluation() const { return {.rate = rate, .values = values}; }

  /// What it does and with which options, on one line.
  std::string description() const {
    return "random_top_k rate=" + exact_text(rate) + " alpha=" + exact_text(alpha) + " values=(" +
           describe(values) + ")";
  }

  /// See StateVisitor.
  void each_state(auto&& see) { show_state(values, see, "values."); }
};

}  // namespace splitvit::codec
