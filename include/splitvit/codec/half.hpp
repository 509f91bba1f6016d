// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // clamp, max
#include <cmath>       // ilogb, ldexp
#include <functional>  // plus

#include <splitvit/codec/concepts.hpp>                // Pass
#include <splitvit/codec/detail/range_quantiser.hpp>  // find_extremes, flush_tiny
#include <splitvit/codec/detail/require.hpp>          // require_exactly
#include <splitvit/core/bytes.hpp>                    // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>                    // Reason
#include <splitvit/core/finite.hpp>                   // limited
#include <splitvit/core/options.hpp>                  // describe_options, yes_no
#include <splitvit/core/parallel.hpp>                 // parallel_reduce
#include <splitvit/core/random.hpp>                   // Rng
#include <splitvit/kernel/float16.hpp>                // BrainFloat, HalfFloat
#include <splitvit/tensor/tensor.hpp>                 // Tensor, TensorView

namespace splitvit::inline SPLITVIT_BUILD::codec {

namespace detail {
inline constexpr Index half_grain = Index{1} << 15;

/// Appends change(x_i) in 16 bits each; returns how many were too large.
template <class Half, class T, class Change>
Index put_halves(TensorView<const T> x, const Change& change, std::vector<std::byte>& out) {
  auto halves = Tensor<std::uint16_t>::uninitialised(x.shape());
  const Index saturated = parallel_reduce(
      x.size(), half_grain, Index{0},
      [&](Index begin, Index end) {
        Index beyond = 0;
        for (Index i = begin; i < end; ++i) {
          const T value = change(x[i]);
          halves[i] = Half::from(value);
          beyond += Half::saturates(value) ? 1 : 0;
        }
        return beyond;
      },
      std::plus{});
  ByteWriter{out}.put_array<std::uint16_t>(halves.span());
  return saturated;
}

/// The tensor that put_halves wrote, each number changed back. Takes all bytes.
template <class Half, class T, class Change>
Tensor<T> get_halves(ByteReader& reader, const Shape& shape, const Change& change) {
  require_exactly(reader, shape, 2);
  auto halves = Tensor<std::uint16_t>::uninitialised(shape);
  reader.get_array(halves.span());
  auto x = Tensor<T>::uninitialised(shape);
  const Index bad = parallel_reduce(
      x.size(), half_grain, Index{0},
      [&](Index begin, Index end) {
        Index not_finite = 0;
        for (Index i = begin; i < end; ++i) {
          x[i] = change(Half::template to<T>(halves[i]));
          not_finite += Half::is_finite(halves[i]) ? 0 : 1;
        }
        return not_finite;
      },
      std::plus{});
  if (bad != 0)
    reader.refuse(Reason::not_finite, {"NaN or infinity in a tensor ", shape.text(), " that came"});
  return x;
}

/// For numbers that are sent as they are.
inline constexpr auto unchanged = [](auto value) { return value; };
}  // namespace detail

/// Writes each number in IEEE half precision: 11 significant bits, up to 65504, down to 6e-8.
/// Gradients of a mean loss are so small that many would become 0. They are first multiplied by a
/// power of two that makes the largest one nearly as large as possible.
///
/// Sent    2 bytes a number, to nearest, halves to even; before gradients an i16, the exponent
///         of that power. Numbers too large become the largest one and are counted.
/// Grad    Straight-through.
/// Errors  See Codec.
struct Float16 {
  bool scaled = true;  ///< whether gradients are multiplied

  static constexpr std::string_view name = "float16";
  static void each_option(auto& self, auto&& see) { see("scaled", self.scaled, yes_no); }
  std::string description() const { return describe_options(*this); }

  template <std::floating_point T>
  Index put(TensorView<const T> x, Pass pass, std::vector<std::byte>& out, Rng&) const {
    if (!scaled || pass == Pass::forward)
      return detail::put_halves<kernel::HalfFloat>(x, detail::unchanged, out);
    const int exponent = scale_exponent(x);
    ByteWriter{out}.put(static_cast<std::int16_t>(exponent));
    const T factor = std::ldexp(T{1}, exponent);
    return detail::put_halves<kernel::HalfFloat>(
        x, [factor](T v) { return detail::flush_tiny(v) * factor; }, out);
  }

  template <std::floating_point T>
  Tensor<T> get(ByteReader& reader, const Shape& shape, Pass pass) const {
    if (!scaled || pass == Pass::forward)
      return detail::get_halves<kernel::HalfFloat, T>(reader, shape, detail::unchanged);
    const int exponent = reader.get<std::int16_t>();
    if (exponent < -most_exponent || exponent > most_exponent)
      reader.refuse(Reason::malformed, {"a gradient times 2^", exponent});
    const T factor = std::ldexp(T{1}, -exponent);
    return detail::get_halves<kernel::HalfFloat, T>(
        reader, shape,
        // Rounded up, the largest one may be beyond the largest number of T.
        [factor](T v) { return detail::flush_tiny(limited(v * factor)); });
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
/// Sent    2 bytes a number in both passes, to nearest, halves to even. Numbers too large become
///         the largest one and are counted.
/// Grad    Straight-through; its range needs no scale.
/// Errors  See Codec.
struct Bfloat16 {
  static constexpr std::string_view name = "bfloat16";
  static void each_option(auto&, auto&&) {}
  std::string description() const { return describe_options(*this); }

  template <std::floating_point T>
  Index put(TensorView<const T> x, Pass, std::vector<std::byte>& out, Rng&) const {
    return detail::put_halves<kernel::BrainFloat>(x, detail::unchanged, out);
  }

  template <std::floating_point T>
  Tensor<T> get(ByteReader& reader, const Shape& shape, Pass) const {
    return detail::get_halves<kernel::BrainFloat, T>(reader, shape, detail::unchanged);
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
