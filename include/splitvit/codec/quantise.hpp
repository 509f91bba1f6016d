// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/codec/concepts.hpp>             // Pass
#include <splitvit/codec/detail/coded_groups.hpp>  // CodedGroup, code_count, quantise_groups
#include <splitvit/core/bytes.hpp>                 // ByteReader, ByteWriter
#include <splitvit/core/options.hpp>               // describe_options, names_of, OrElse, Whole
#include <splitvit/core/random.hpp>                // Rng
#include <splitvit/tensor/tensor.hpp>              // Tensor, TensorView
#include <splitvit/tensor/transpose.hpp>           // transposed

namespace splitvit::inline SPLITVIT_BUILD::codec {

/// Which numbers share low and scale.
enum class RangePer {
  tensor,  ///< all
  sample,  ///< an entry of the first axis
  token,   ///< a row
  channel  ///< one place in all rows
};

/// How a number between two codes becomes one of them.
enum class Rounding {
  nearest,    ///< halves to the even code
  stochastic  ///< up with the probability of its distance to the lower one: right on average
};

namespace detail {
inline constexpr auto range_names = names_of<RangePer>({{"tensor", RangePer::tensor},
                                                        {"sample", RangePer::sample},
                                                        {"token", RangePer::token},
                                                        {"channel", RangePer::channel}});
inline constexpr auto rounding_names =
    names_of<Rounding>({{"nearest", Rounding::nearest}, {"stochastic", Rounding::stochastic}});
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
/// Errors  See Codec.
/// Source  Uniform quantisation as in the baselines of arXiv:2509.15058; authors' code:
///         Federico-Alvetreti/Split-Learning_ADC, methods/quantization.py.
/// Differs The authors take one range a tensor in both passes, and get NaN for equal numbers. Below
///         8 bits one range destroys gradients, which differ greatly between tokens.
struct Quantise {
  int bits = 8;                               ///< of a code, 1..16
  std::optional<int> gradient_bits = {};      ///< of a gradient's code; as `bits` if not given
  RangePer range = RangePer::token;           ///< which activations share low and scale
  RangePer gradient_range = RangePer::token;  ///< the same for gradients
  Rounding rounding = Rounding::nearest;      ///< in both passes

  static constexpr std::string_view name = "q";
  static void each_option(auto& self, auto&& see) {
    see("", self.bits, Whole{1, 16, "BITS"});
    see("gradient_bits", self.gradient_bits, OrElse{Whole{1, 16, "BITS"}, self.bits});
    see("range", self.range, detail::range_names);
    see("gradient_range", self.gradient_range, detail::range_names);
    see("rounding", self.rounding, detail::rounding_names);
  }
  std::string description() const { return describe_options(*this); }

  template <std::floating_point T>
  Index put(TensorView<const T> x, Pass pass, std::vector<std::byte>& out, Rng& rng) const {
    put_ranges(x, pass, out, rng, [&](Tensor<std::uint16_t>& codes, const auto& groups, Index) {
      detail::put_codes<T>(codes, groups, out);
    });
    return 0;
  }

  template <std::floating_point T>
  Tensor<T> get(ByteReader& reader, const Shape& shape, Pass pass) const {
    return get_ranges<T>(reader, shape, pass, [&](const auto& groups, Index) {
      return detail::get_codes<T>(reader, groups);
    });
  }

  /// How many bits a code has.
  int bits_in(Pass pass) const {
    return pass == Pass::forward ? bits : gradient_bits.value_or(bits);
  }

  /// put, with codes written by put_codes(codes, groups, W): rows of W codes.
  template <std::floating_point T>
  void put_ranges(TensorView<const T> x, Pass pass, std::vector<std::byte>& out, Rng& rng,
                  const auto& put_codes) const {
    if (x.size() == 0) return;
    auto groups = groups_of<T>(x.shape(), pass);
    const Index rows = x.shape().rows(), D = x.shape().back();
    const bool by_channel = range_in(pass) == RangePer::channel;
    const Tensor<T> channels = by_channel ? transposed(x.data(), rows, D) : Tensor<T>{};
    const std::span<const T> values = by_channel ? channels.span() : x.span();
    detail::find_ranges<T>(values, groups);
    ByteWriter writer{out};
    for (const auto& group : groups) detail::put_range(writer, group.range);

    Tensor<std::uint16_t> codes;
    if (rounding == Rounding::nearest) {
      codes = detail::quantise_groups<T>(values, groups, detail::to_nearest);
    } else {
      const auto round = [&, draws = rng](T place, std::size_t i) {  // draws in the order of x
        const auto at = static_cast<Index>(i);
        return detail::rounded_by(
            detail::draw_after(draws, by_channel ? at % rows * D + at / rows : at), place);
      };
      codes = detail::quantise_groups<T>(values, groups, round);
      rng.position += static_cast<std::uint64_t>(x.size());
    }
    if (by_channel) codes = transposed(codes.data(), codes.size() / rows, rows);
    put_codes(codes, groups, by_channel ? codes.size() / rows : D);
  }

  /// get, with codes read by get_codes(groups, W).
  template <std::floating_point T>
  Tensor<T> get_ranges(ByteReader& reader, const Shape& shape, Pass pass,
                       const auto& get_codes) const {
    if (shape.elements() == 0) return Tensor<T>{shape};
    reader.require(group_count(shape, pass), 2 * sizeof(T));
    auto groups = groups_of<T>(shape, pass);
    for (auto& group : groups) group.range = detail::get_range<T>(reader);
    const Index rows = shape.rows(), D = shape.back();
    const bool by_channel = range_in(pass) == RangePer::channel;
    Tensor<std::uint16_t> codes =
        get_codes(groups, by_channel ? detail::code_count<T>(groups) / rows : D);
    if (!by_channel) return detail::dequantise_groups<T>(codes, groups, shape);
    codes = transposed(codes.data(), rows, codes.size() / rows);
    const auto channels = detail::dequantise_groups<T>(codes, groups, {D, rows});
    return transposed(channels.data(), D, rows).reshaped(shape);
  }

 private:
  RangePer range_in(Pass pass) const { return pass == Pass::forward ? range : gradient_range; }

  Index group_count(const Shape& shape, Pass pass) const {
    switch (range_in(pass)) {
      case RangePer::tensor:
        return 1;
      case RangePer::sample:
        return shape.rank() == 0 ? 1 : shape[0];
      case RangePer::token:
        return shape.rows();
      case RangePer::channel:
        return shape.back();
    }
    throw std::invalid_argument("q: no such range");
  }

  /// The groups in the order of their ranges; channels follow each other.
  template <class T>
  std::vector<detail::CodedGroup<T>> groups_of(const Shape& shape, Pass pass) const {
    const Index count = group_count(shape, pass);
    return std::vector<detail::CodedGroup<T>>(
        static_cast<std::size_t>(count),
        {.count = shape.elements() / count, .bits = bits_in(pass), .range = {}});
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
