// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/codec/concepts.hpp>             // contexts, Decoded
#include <splitvit/codec/detail/entry_drawer.hpp>  // EntryDrawer
#include <splitvit/codec/detail/kept_values.hpp>   // encode_kept, KeptContext, largest_of_samples
#include <splitvit/codec/float32.hpp>              // Float32
#include <splitvit/core/options.hpp>               // describe_options, fraction, Nested, Real
#include <splitvit/core/random.hpp>                // Rng
#include <splitvit/core/state.hpp>                 // show_state
#include <splitvit/tensor/tensor.hpp>              // Tensor, TensorView

// TopK: the largest values of each sample, or mostly these. Letters: B samples of n values, of
// which k are sent.

namespace splitvit::inline SPLITVIT_BUILD::codec {

/// Sends k values of each sample, k = max(1, half_even(rate n)); the others arrive as zero. With
/// alpha = 0 these are the values of largest magnitude, of equal ones the first. Else they are
/// drawn without replacement, each of the k largest with weight (1 - alpha) / k, each other one
/// with alpha / (n - k): the other values are sent now and then, too.
///
/// Shapes  x (B, ...): B samples of n < 2^32 values, which compete across tokens and channels.
/// Sent    Their indices, as index sets in the smallest of four forms, and a tensor (B, k) of their
///         values by the codec `Values`. The gradient comes back as (B, k), without indices.
/// Grad    The gradient of the values sent; zero elsewhere.
/// Errors  See Codec.
/// Source  The baseline of arXiv:2509.15058; authors' code:
///         Federico-Alvetreti/Split-Learning_ADC, methods/random_top_k.py. Drawn: "Reducing
///         Communication for Split Learning by Randomized Top-k Sparsification",
///         arXiv:2305.18469; authors' code: zfscgy/SplitLearning.
/// Differs An index is counted as it is sent; the authors of the first charge for indices into the
///         batch, the authors of the second keep more than k of equal values.
template <class Values = Float32>
struct TopK {
  double rate = 0.1;   ///< of the values of a sample, in (0, 1]
  double alpha = 0;    ///< the probability that a draw is not among the k largest, in [0, 1)
  Values values = {};  ///< writes the values that are sent

  static constexpr std::string_view name = "topk";
  static void each_option(auto& self, auto&& see) {
    see("", self.rate, fraction("RATE"));
    see("alpha", self.alpha, Real{0, 1, "ALPHA", false, true});
    see("values", self.values, Nested{});
  }
  std::string description() const { return describe_options(*this); }

  template <std::floating_point T>
  KeptContext<SenderContext<Values, T>> encode(TensorView<const T> x, std::vector<std::byte>& out,
                                               Rng& rng) {
    const Index k = detail::kept_count(*this, x), n = x.size() / x.dim(0);
    auto indices = detail::largest_of_samples(x, k);
    if (k < n && alpha > 0) {
      detail::EntryDrawer drawer{alpha, k, n};
      for (Index b = 0; b < x.dim(0); ++b)
        drawer.draw({indices.data() + b * k, static_cast<std::size_t>(k)}, rng);
    }
    return detail::encode_kept<T>(x, std::move(indices), k, values, out, rng);
  }

  template <std::floating_point T>
  Decoded<T, KeptContext<ReceiverContext<Values, T>>> decode(std::span<const std::byte> in,
                                                             const Shape& shape) {
    return detail::decode_kept<T>(in, shape, detail::announced_count(*this, shape), values, "topk");
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient,
                       const KeptContext<ReceiverContext<Values, T>>& context,
                       std::vector<std::byte>& out, Rng& rng) {
    detail::encode_kept_gradient<T>(gradient, context, values, out, rng, "topk");
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in,
                            const KeptContext<SenderContext<Values, T>>& context,
                            const Shape& shape) {
    return detail::decode_kept_gradient<T>(in, context, shape, values, "topk");
  }

  /// See StateVisitor.
  void each_state(auto&& see) { show_state(values, see, "values."); }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
