// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/codec/c3_keys.hpp>   // C3KeyCache
#include <splitvit/codec/concepts.hpp>  // Pass
#include <splitvit/codec/float32.hpp>   // Float32
#include <splitvit/core/bytes.hpp>      // ByteReader
#include <splitvit/core/error.hpp>      // Reason, ShapeError, WireError
#include <splitvit/core/options.hpp>    // describe_options, Whole, yes_no
#include <splitvit/core/random.hpp>     // Rng
#include <splitvit/tensor/tensor.hpp>   // Tensor, TensorView

namespace splitvit::inline SPLITVIT_BUILD::codec {

/// Adds up `ratio` consecutive samples, each convolved with a key that both sides draw from
/// the seed, and sends the sums. Separated again, each sample has noise from the others: noise to
/// signal is about R with random keys, R - 1 with unitary ones.
///
/// Shapes  x (B, ...): B samples of n values.
/// Sent    4 ceil(B / R) n bytes each way (8 for double). R = 1 sends the numbers as they are.
/// Grad    Both maps are linear and each is the adjoint of the other: the server superposes the
///         gradient, the client separates it.
/// Errors  See Codec.
/// Source  "C3-SL: Circular Convolution-Based Batch-Wise Compression for
///         Communication-Efficient Split Learning", arXiv:2207.12397; authors' code:
///         WesleyHsieh0806/C3-SL.
/// Differs A short last group uses the first keys; the authors drop it. `unitary` is ours.
struct C3 {
  Index ratio = 4;         ///< samples in a group, R, 1..65536
  std::uint64_t seed = 0;  ///< of the keys
  bool unitary = false;    ///< keys whose spectra have magnitude 1 everywhere
  C3KeyCache keys = {};    ///< of the sizes that were seen last

  static constexpr std::string_view name = "c3";
  static void each_option(auto& self, auto&& see) {
    see("", self.ratio, Whole{1, 65536, "RATIO"});
    see("seed", self.seed, Whole{0, std::numeric_limits<std::uint64_t>::max(), "SEED"});
    see("unitary", self.unitary, yes_no);
  }
  std::string description() const { return describe_options(*this); }

  template <std::floating_point T>
  Index put(TensorView<const T> x, Pass pass, std::vector<std::byte>& out, Rng& rng) {
    if (x.shape().rank() == 0) throw ShapeError("c3: a number without axes, wanted (B, ...)");
    if (ratio == 1 || x.size() == 0) return Float32{}.put(x, pass, out, rng);
    const Index B = x.dim(0), n = x.size() / B;
    const Tensor<T> sums =
        keys.get<T>(ratio, n, seed, unitary).superpose(TensorView<const T>{x.span(), {B, n}});
    return Float32{}.put(sums.view(), pass, out, rng);
  }

  template <std::floating_point T>
  Tensor<T> get(ByteReader& reader, const Shape& shape, Pass pass) {
    if (ratio == 1 || shape.elements() == 0) return Float32{}.get<T>(reader, shape, pass);
    if (shape.rank() == 0)
      throw WireError(Reason::wrong_shape, "c3: a number without axes, wanted (B, ...)");
    const Index B = shape[0], n = shape.elements() / B;
    const auto sums = Float32{}.get<T>(reader, {(B - 1) / ratio + 1, n}, pass);
    return keys.get<T>(ratio, n, seed, unitary).separate(sums.view(), B).reshaped(shape);
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
