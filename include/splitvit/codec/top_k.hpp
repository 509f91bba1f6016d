// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>   // floating_point
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint32_t
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/codec/concepts.hpp>                // Codec, Decoded, receipts
#include <splitvit/codec/detail/finite_values.hpp>    // require_finite
#include <splitvit/codec/detail/kept_values.hpp>      // KeptReceipt, encode_kept, decode_kept
#include <splitvit/codec/detail/largest_entries.hpp>  // kept_entries, largest_entries
#include <splitvit/codec/float32.hpp>                 // Float32
#include <splitvit/core/describe.hpp>                 // describe
#include <splitvit/core/error.hpp>                    // ShapeError, WireError
#include <splitvit/core/parallel.hpp>                 // parallel_for
#include <splitvit/core/random.hpp>                   // Rng
#include <splitvit/core/state.hpp>                    // show_state
#include <splitvit/core/text.hpp>                     // exact_text
#include <splitvit/tensor/tensor.hpp>                 // Tensor, TensorView

// TopK: each sample's largest values. Letters: B samples of n values, of which k are sent.

namespace splitvit::codec {

namespace detail {

/// Errors  std::invalid_argument unless 0 < rate <= 1.
inline void require_rate(double rate, const std::string& codec) {
  if (!(rate > 0 && rate <= 1))
    throw std::invalid_argument(codec + ": rate is " + exact_text(rate) + ", wanted (0, 1]");
}

/// How many values a sample has.
/// Errors  ShapeError for a tensor without samples or without values.
inline Index sample_size(const Shape& shape, const std::string& codec) {
  if (shape.rank() == 0 || shape.elements() == 0)
    throw ShapeError(codec + ": tensor " + shape.text() + ", wanted samples (B, ...) with values");
  return shape.elements() / shape[0];
}

/// The same for a shape that a peer announced.
/// Errors  WireError (wrong_shape).
inline Index announced_sample_size(const Shape& shape, const std::string& codec) {
  if (shape.rank() == 0 || shape.elements() == 0)
    throw WireError(Reason::wrong_shape, codec + ": a tensor " + shape.text() + " without values");
  return shape.elements() / shape[0];
}

/// Where the k largest values of each sample are: B times k indices.
template <std::floating_point T>
std::vector<std::uint32_t> largest_of_samples(TensorView<const T> x, Index k) {
  const Index B = x.dim(0), n = x.size() / B;
  std::vector<std::uint32_t> indices(static_cast<std::size_t>(B * k));
  parallel_for(B, 1, [&](Index begin, Index end) {
    for (Index b = begin; b < end; ++b)
      largest_entries<T>({x.data() + b * n, static_cast<std::size_t>(n)},
                         {indices.data() + b * k, static_cast<std::size_t>(k)});
  });
  return indices;
}

}  // namespace detail

/// Sends the values of largest magnitude of each sample, k = max(1, half_even(rate n)); the
/// others arrive as zero. Of equal magnitudes the first ones are sent, exactly k.
///
/// Shapes  x (B, ...): B samples of n < 2^32 values, which compete across tokens and channels.
/// Sent    Where they are, as index sets in the smallest of four forms, and a tensor (B, k) of
///         their values by the codec `Values`. Back the gradient there, as (B, k), without
///         indices.
/// Grad    That of the values sent; zero elsewhere.
/// Errors  std::invalid_argument for a rate outside (0, 1]; ShapeError for a tensor without
///         values, or a gradient of another shape; WireError: not_finite, or whatever is wrong
///         with bytes that came.
/// Source  The baseline of arXiv:2509.15058; authors' code:
///         Federico-Alvetreti/Split-Learning_ADC, methods/random_top_k.py with random portion 0.
/// Differs An index is counted as it is sent; the authors charge for indices into the batch.
template <class Values = Float32>
struct TopK {
  double rate = 0.1;   ///< of the values of a sample, in (0, 1]
  Values values = {};  ///< writes the values that are sent

  template <std::floating_point T>
  KeptReceipt<SenderReceipt<Values, T>> encode(TensorView<const T> x, std::vector<std::byte>& out,
                                               Rng& rng) {
    detail::require_rate(rate, "TopK");
    const Index k = detail::kept_entries(rate, detail::sample_size(x.shape(), "TopK"));
    detail::require_finite(x, "TopK");
    return detail::encode_kept<T>(x, detail::largest_of_samples(x, k), k, values, out, rng);
  }

  template <std::floating_point T>
  Decoded<T, KeptReceipt<ReceiverReceipt<Values, T>>> decode(std::span<const std::byte> in,
                                                             const Shape& shape) {
    detail::require_rate(rate, "TopK");
    const Index n = detail::announced_sample_size(shape, "TopK");
    return detail::decode_kept<T>(in, shape, detail::kept_entries(rate, n), values, "TopK");
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient,
                       const KeptReceipt<ReceiverReceipt<Values, T>>& receipt,
                       std::vector<std::byte>& out, Rng& rng) {
    detail::require_finite(gradient, "TopK");
    detail::encode_kept_gradient<T>(gradient, receipt, values, out, rng, "TopK");
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in,
                            const KeptReceipt<SenderReceipt<Values, T>>& receipt,
                            const Shape& shape) {
    return detail::decode_kept_gradient<T>(in, receipt, shape, values, "TopK");
  }

  /// What it does and with which options, on one line.
  std::string description() const {
    return "top_k rate=" + exact_text(rate) + " values=(" + describe(values) + ")";
  }

  /// See StateVisitor.
  void each_state(auto&& see) { show_state(values, see, "values."); }
};

}  // namespace splitvit::codec
