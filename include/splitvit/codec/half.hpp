// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // clamp, max
#include <cmath>       // ilogb, ldexp
#include <concepts>    // floating_point
#include <cstddef>     // byte, size_t
#include <cstdint>     // int16_t, uint16_t
#include <functional>  // plus
#include <span>        // span
#include <string>      // string, to_string
#include <vector>      // vector

#include <splitvit/codec/concepts.hpp>                // Decoded, NoReceipt
#include <splitvit/codec/detail/finite_values.hpp>    // limited, require_finite
#include <splitvit/codec/detail/range_quantiser.hpp>  // find_extremes, flush_tiny
#include <splitvit/codec/detail/small_float.hpp>      // BrainFloat, HalfFloat
#include <splitvit/codec/receipts.hpp>                // Saturation
#include <splitvit/core/bytes.hpp>                    // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>                    // WireError
#include <splitvit/core/parallel.hpp>                 // parallel_reduce
#include <splitvit/core/random.hpp>                   // Rng
#include <splitvit/tensor/tensor.hpp>                 // Tensor, TensorView

// Float16 and Bfloat16: numbers of 16 bits.

namespace splitvit::codec {

namespace detail {

inline constexpr Index half_grain = Index{1} << 15;

/// Appends change(x_i) in 16 bits each; returns how many were too large.
template <class Format, class T, class Change>
Index put_halves(TensorView<const T> x, const Change& change, std::vector<std::byte>& out) {
  auto halves = Tensor<std::uint16_t>::uninitialised(x.shape());
  const Index saturated = parallel_reduce(
      x.size(), half_grain, Index{0},
      [&](Index begin, Index end) {
        Index beyond = 0;
        for (Index i = begin; i < end; ++i) {
          const T value = change(x[i]);
          halves[i] = Format::from(value);
          beyond += Format::saturates(value) ? 1 : 0;
        }
        return beyond;
      },
      std::plus{});
  ByteWriter{out}.put_array<std::uint16_t>(halves.span());
  return saturated;
}

/// The tensor of which put_halves wrote the numbers, each one changed back. Takes all bytes.
template <class Format, class T, class Change>
Tensor<T> get_halves(ByteReader& reader, const Shape& shape, const Change& change,
                     const std::string& codec) {
  // Divided, not multiplied: a hostile shape must not overflow.
  if (reader.left() % 2 != 0 || reader.left() / 2 != static_cast<std::size_t>(shape.elements()))
    throw WireError(Reason::wrong_shape, codec + ": " + std::to_string(reader.left()) +
                                             " bytes for a tensor " + shape.text() +
                                             " of 2 bytes each");
  auto halves = Tensor<std::uint16_t>::uninitialised(shape);
  reader.get_array(halves.span());
  auto out = Tensor<T>::uninitialised(shape);
  const Index bad = parallel_reduce(
      out.size(), half_grain, Index{0},
      [&](Index begin, Index end) {
        Index not_finite = 0;
        for (Index i = begin; i < end; ++i) {
          out[i] = change(Format::template to<T>(halves[i]));
          not_finite += Format::is_finite(halves[i]) ? 0 : 1;
        }
        return not_finite;
      },
      std::plus{});
  if (bad != 0)
    throw WireError(Reason::not_finite,
                    codec + ": NaN or infinity in a tensor " + shape.text() + " that came");
  return out;
}

/// For numbers that are sent as they are.
inline constexpr auto unchanged = [](auto value) { return value; };

}  // namespace detail

/// Writes each number in IEEE half precision: 11 significant bits, up to 65504, down to 6e-8.
/// Gradients are first multiplied by a power of two that makes the largest one nearly as large
/// as can be, since those of a mean loss are so small that many would become 0.
///
/// Sent    2 bytes a number, to nearest, halves to even; before gradients an i16, the exponent
///         of that power. Numbers too large become the largest one and are counted in the
///         sender's receipt.
/// Grad    Straight-through.
/// Errors  WireError: not_finite for NaN or infinity, when writing and when reading;
///         wrong_shape for another number of bytes; malformed for an exponent beyond 126.
struct Float16 {
  bool scaled = true;  ///< whether gradients are multiplied

  template <std::floating_point T>
  Saturation encode(TensorView<const T> x, std::vector<std::byte>& out, Rng&) const {
    detail::require_finite(x, "Float16");
    return {{}, detail::put_halves<detail::HalfFloat>(x, detail::unchanged, out)};
  }

  template <std::floating_point T>
  Decoded<T, NoReceipt> decode(std::span<const std::byte> in, const Shape& shape) const {
    ByteReader reader{in, "Float16"};
    return {detail::get_halves<detail::HalfFloat, T>(reader, shape, detail::unchanged, "Float16"),
            {}};
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient, const NoReceipt&, std::vector<std::byte>& out,
                       Rng& rng) const {
    if (!scaled) {
      encode(gradient, out, rng);
      return;
    }
    detail::require_finite(gradient, "Float16");
    const int exponent = scale_exponent(gradient);
    ByteWriter{out}.put(static_cast<std::int16_t>(exponent));
    detail::put_halves<detail::HalfFloat>(
        gradient,
        [factor = std::ldexp(T{1}, exponent)](T v) { return detail::flush_tiny(v) * factor; }, out);
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const NoReceipt&,
                            const Shape& shape) const {
    if (!scaled) return decode<T>(in, shape).values;
    ByteReader reader{in, "Float16"};
    const int exponent = reader.get<std::int16_t>();
    if (exponent < -most_exponent || exponent > most_exponent)
      throw WireError(Reason::malformed, "Float16: a gradient times 2^" + std::to_string(exponent));
    return detail::get_halves<detail::HalfFloat, T>(
        reader, shape,
        [factor = std::ldexp(T{1}, -exponent)](T v) {
          // Rounded up, the largest one may be beyond what T can hold.
          return detail::flush_tiny(detail::limited(v * factor));
        },
        "Float16");
  }

  /// What it does, on one line.
  std::string description() const {
    return std::string{"float16 scaled="} + (scaled ? "yes" : "no");
  }

 private:
  static constexpr int most_exponent = 126;

  /// The power of two that brings the largest number to between 2^14 and 2^15.
  template <class T>
  static int scale_exponent(TensorView<const T> x) {
    if (x.size() == 0) return 0;
    const auto ends = detail::find_extremes<T>(x.span());
    const T largest = std::max(-ends.low, ends.high);
    if (largest == T{0}) return 0;
    return std::clamp(14 - std::ilogb(largest), -most_exponent, most_exponent);
  }
};

/// Writes the upper half of each float: 8 significant bits, the range of float.
///
/// Sent    2 bytes a number both ways, to nearest, halves to even. Numbers too large become the
///         largest one and are counted in the sender's receipt.
/// Grad    Straight-through; its range needs no scale.
/// Errors  WireError: not_finite for NaN or infinity, when writing and when reading;
///         wrong_shape for another number of bytes.
struct Bfloat16 {
  template <std::floating_point T>
  Saturation encode(TensorView<const T> x, std::vector<std::byte>& out, Rng&) const {
    detail::require_finite(x, "Bfloat16");
    return {{}, detail::put_halves<detail::BrainFloat>(x, detail::unchanged, out)};
  }

  template <std::floating_point T>
  Decoded<T, NoReceipt> decode(std::span<const std::byte> in, const Shape& shape) const {
    ByteReader reader{in, "Bfloat16"};
    return {detail::get_halves<detail::BrainFloat, T>(reader, shape, detail::unchanged, "Bfloat16"),
            {}};
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient, const NoReceipt&, std::vector<std::byte>& out,
                       Rng& rng) const {
    encode(gradient, out, rng);
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const NoReceipt&,
                            const Shape& shape) const {
    return decode<T>(in, shape).values;
  }

  /// What it does, on one line.
  std::string description() const { return "bfloat16"; }
};

}  // namespace splitvit::codec
