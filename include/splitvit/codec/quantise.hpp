// SPDX-License-Identifier: MIT
#pragma once

#include <array>      // array
#include <concepts>   // floating_point
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint16_t
#include <optional>   // optional
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <vector>     // vector

#include <splitvit/codec/concepts.hpp>                // Decoded, NoReceipt
#include <splitvit/codec/detail/finite_values.hpp>    // require_finite
#include <splitvit/codec/detail/packed_bits.hpp>      // BitReader, BitWriter
#include <splitvit/codec/detail/range_groups.hpp>     // RangeGroups
#include <splitvit/codec/detail/range_quantiser.hpp>  // get_range, put_range
#include <splitvit/core/bytes.hpp>                    // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>                    // WireError
#include <splitvit/core/random.hpp>                   // Rng
#include <splitvit/core/text.hpp>                     // name_of, Named
#include <splitvit/tensor/tensor.hpp>                 // Tensor, TensorView

// Quantise: numbers as codes of a few bits, spread evenly over a range.

namespace splitvit::codec {

/// How a number between two codes becomes one of them.
enum class Rounding {
  nearest,    ///< halves to the even code
  stochastic  ///< up with the probability of its distance to the lower one: right on average
};

namespace detail {

inline constexpr std::array<Named<RangePer>, 4> range_names{{{"tensor", RangePer::tensor},
                                                             {"sample", RangePer::sample},
                                                             {"token", RangePer::token},
                                                             {"channel", RangePer::channel}}};
inline constexpr std::array<Named<Rounding>, 2> rounding_names{
    {{"nearest", Rounding::nearest}, {"stochastic", Rounding::stochastic}}};

}  // namespace detail

/// Quantises uniformly between the least and the greatest number of each group.
///
/// Shapes  Any. For (B, N, D): 1 group a tensor, B samples, B N tokens or D channels. In general
///         a sample is an entry of the first axis, a token a row, a channel a place in the row.
/// Sent    For each group low and scale (8 bytes, 16 for double), then a code of `bits` bits a
///         number, row by row. A group of equal numbers has scale 0, no codes, and comes back
///         exactly.
/// Grad    Straight-through: the gradient is quantised in the same way, in its own ranges.
/// Units   A number comes back within half a scale; with stochastic rounding within one scale,
///         and right on average. Exact zeros become small numbers in general.
/// Errors  std::invalid_argument for bits outside 1..16; WireError: not_finite for NaN or
///         infinity, wrong_shape, truncated or malformed for bytes that are no such tensor.
/// Source  Uniform quantisation as in the baselines of arXiv:2509.15058; authors' code:
///         Federico-Alvetreti/Split-Learning_ADC, methods/quantization.py.
/// Differs The authors take one range a tensor, both ways, and get NaN for equal numbers. Below
///         8 bits one range destroys gradients, which differ greatly between tokens.
struct Quantise {
  int bits = 8;                               ///< of a code, 1..16
  std::optional<int> gradient_bits = {};      ///< on the way back; as `bits` if not given
  RangePer range = RangePer::token;           ///< which numbers share low and scale
  RangePer gradient_range = RangePer::token;  ///< the same on the way back
  Rounding rounding = Rounding::nearest;      ///< both ways

  template <std::floating_point T>
  NoReceipt encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) const {
    write(x, bits, range, out, rng);
    return {};
  }

  template <std::floating_point T>
  Decoded<T, NoReceipt> decode(std::span<const std::byte> in, const Shape& shape) const {
    return {read<T>(in, shape, bits, range), {}};
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient, const NoReceipt&, std::vector<std::byte>& out,
                       Rng& rng) const {
    write(gradient, gradient_bits.value_or(bits), gradient_range, out, rng);
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const NoReceipt&,
                            const Shape& shape) const {
    return read<T>(in, shape, gradient_bits.value_or(bits), gradient_range);
  }

  /// What it does and with which options, on one line.
  std::string description() const {
    return "quantise bits=" + std::to_string(bits) +
           " gradient_bits=" + std::to_string(gradient_bits.value_or(bits)) +
           " range=" + name_of(detail::range_names, range) +
           " gradient_range=" + name_of(detail::range_names, gradient_range) +
           " rounding=" + name_of(detail::rounding_names, rounding);
  }

 private:
  static void require_bits(int bits) {
    if (bits < 1 || bits > 16)
      throw std::invalid_argument("Quantise: " + std::to_string(bits) + " bits, wanted 1 to 16");
  }

  template <class T>
  void write(TensorView<const T> x, int b, RangePer per, std::vector<std::byte>& out,
             Rng& rng) const {
    require_bits(b);
    detail::require_finite(x, "Quantise");
    if (x.size() == 0) return;
    const detail::RangeGroups groups{x.shape(), per};
    const auto ranges = groups.find(x, b);
    ByteWriter writer{out};
    for (const auto& of_group : ranges) detail::put_range(writer, of_group);
    const Rng* const draws = rounding == Rounding::stochastic ? &rng : nullptr;
    detail::BitWriter packed{out};
    packed.put_all<std::uint16_t>(groups.quantise(x, ranges, b, draws).span(), b);
    packed.finish();
    if (draws != nullptr) rng.position += static_cast<std::uint64_t>(x.size());
  }

  template <class T>
  Tensor<T> read(std::span<const std::byte> in, const Shape& shape, int b, RangePer per) const {
    require_bits(b);
    ByteReader reader{in, "Quantise"};
    if (shape.elements() == 0) {
      reader.expect_end();
      return Tensor<T>{shape};
    }
    const detail::RangeGroups groups{shape, per};
    // Divided, not multiplied: a hostile shape must not overflow.
    if (static_cast<std::size_t>(groups.count()) > in.size() / (2 * sizeof(T)))
      throw WireError(Reason::truncated, "Quantise: " + std::to_string(in.size()) +
                                             " bytes for the ranges of a tensor " + shape.text());
    std::vector<detail::Range<T>> ranges(static_cast<std::size_t>(groups.count()));
    for (auto& of_group : ranges) of_group = detail::get_range<T>(reader, "Quantise");
    detail::BitReader packed{reader, "Quantise"};
    const Index codes = groups.codes(ranges);
    packed.require(codes, b);
    auto came = Tensor<std::uint16_t>::uninitialised({codes});
    packed.get_all(came.span(), b);
    packed.finish();
    reader.expect_end();
    return groups.dequantise(came, ranges, b);
  }
};

}  // namespace splitvit::codec
