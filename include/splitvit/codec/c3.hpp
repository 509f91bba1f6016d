// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>   // floating_point
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint64_t
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <vector>     // vector

#include <splitvit/codec/c3_keys.hpp>   // C3KeyCache
#include <splitvit/codec/concepts.hpp>  // Decoded, NoReceipt
#include <splitvit/codec/float32.hpp>   // Float32
#include <splitvit/core/error.hpp>      // ShapeError
#include <splitvit/core/random.hpp>     // Rng
#include <splitvit/tensor/tensor.hpp>   // Tensor, TensorView

// C3: several samples in one vector, each bound to a key of its own by circular convolution.

namespace splitvit::codec {

/// Adds up `ratio` consecutive samples, each convolved with a key that both sides draw from
/// the seed, and sends the sums. What is taken apart again is the sample plus noise from the
/// others: noise to signal is about R with random keys, R - 1 with unitary ones.
///
/// Shapes  x (B, ...): B samples of n values.
/// Sent    4 ceil(B / R) n bytes each way (8 for double). R = 1 sends the numbers as they are.
/// Grad    Both maps are linear and each is the adjoint of the other: the server superposes the
///         gradient, the client separates it.
/// Errors  std::invalid_argument for ratio < 1; ShapeError for a number without axes;
///         WireError: not_finite, or wrong_shape for another number of bytes.
/// Source  "C3-SL: Circular Convolution-Based Batch-Wise Compression for
///         Communication-Efficient Split Learning", arXiv:2207.12397; authors' code:
///         WesleyHsieh0806/C3-SL.
/// Differs A short last group uses the first keys; the authors drop it. `unitary` is ours.
struct C3 {
  Index ratio = 4;         ///< samples in a group, R, at least 1
  std::uint64_t seed = 0;  ///< of the keys
  bool unitary = false;    ///< keys whose spectra have magnitude 1 everywhere
  C3KeyCache keys = {};    ///< of the sizes that were seen last

  template <std::floating_point T>
  NoReceipt encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) {
    require_options();
    if (x.shape().rank() == 0) throw ShapeError("C3: a number without axes, wanted (B, ...)");
    if (ratio == 1 || x.size() == 0) return Float32{}.encode(x, out, rng);
    if (!all_finite(x))
      throw WireError(Reason::not_finite,
                      "C3: NaN or infinity in a tensor " + x.shape().text() + " to be sent");
    const Index B = x.dim(0), n = x.size() / B;
    const Tensor<T> sums =
        keys.get<T>(ratio, n, seed, unitary).superpose(TensorView<const T>{x.span(), {B, n}});
    return Float32{}.encode(sums.view(), out, rng);
  }

  template <std::floating_point T>
  Decoded<T, NoReceipt> decode(std::span<const std::byte> in, const Shape& shape) {
    require_options();
    if (ratio == 1 || shape.elements() == 0) return Float32{}.decode<T>(in, shape);
    if (shape.rank() == 0)
      throw WireError(Reason::wrong_shape, "C3: a number without axes, wanted (B, ...)");
    const Index B = shape[0], n = shape.elements() / B;
    const auto sums = Float32{}.decode<T>(in, {(B - 1) / ratio + 1, n}).values;
    return {keys.get<T>(ratio, n, seed, unitary).separate(sums.view(), B).reshaped(shape), {}};
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient, const NoReceipt&, std::vector<std::byte>& out,
                       Rng& rng) {
    encode(gradient, out, rng);
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const NoReceipt&, const Shape& shape) {
    return decode<T>(in, shape).values;
  }

  /// What it does, on one line.
  std::string description() const {
    return "c3 ratio=" + std::to_string(ratio) + " seed=" + std::to_string(seed) +
           " unitary=" + (unitary ? "yes" : "no");
  }

 private:
  void require_options() const {
    if (ratio < 1)
      throw std::invalid_argument("C3: ratio is " + std::to_string(ratio) + ", wanted at least 1");
  }
};

}  // namespace splitvit::codec
