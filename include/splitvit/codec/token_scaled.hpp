// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max
#include <cmath>      // isfinite

#include <splitvit/codec/concepts.hpp>                // Decoded, contexts
#include <splitvit/codec/detail/range_quantiser.hpp>  // find_extremes, flush_tiny
#include <splitvit/codec/detail/require.hpp>          // require_finite
#include <splitvit/core/bytes.hpp>                    // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>                    // Reason
#include <splitvit/core/finite.hpp>                   // limited
#include <splitvit/core/options.hpp>                  // describe
#include <splitvit/core/parallel.hpp>                 // parallel_for
#include <splitvit/core/random.hpp>                   // Rng
#include <splitvit/core/state.hpp>                    // show_state
#include <splitvit/tensor/tensor.hpp>                 // Tensor, TensorView

namespace splitvit::inline SPLITVIT_BUILD::codec {

/// Divides each token by its largest magnitude and sends these magnitudes. `Inner` writes the
/// quotients, all in [-1, 1]. For codecs with shared ranges, above all on gradients, which differ
/// greatly between tokens.
///
/// Shapes  Any; a token is a row: (B, N, D) has B N of them.
/// Sent    In both passes: for each token its largest magnitude, or the number 1 for a token of
///         zeros (4 bytes, 8 for double); then what Inner sends.
/// Grad    The gradient of Inner.
/// Errors  See Codec.
template <class Inner>
struct TokenScaled {
  Inner inner = {};

  static constexpr std::string_view name = "scaled";
  static void each_option(auto& self, auto&& see) { see("", self.inner, Required{Nested{}}); }
  std::string description() const { return describe_options(*this); }

  template <std::floating_point T>
  SenderContext<Inner, T> encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) {
    return codec::encode<T>(inner, divide(x, out).view(), out, rng);
  }

  template <std::floating_point T>
  Decoded<T, ReceiverContext<Inner, T>> decode(std::span<const std::byte> in, const Shape& shape) {
    ByteReader reader{in, "scaled"};
    const auto scales = read_scales<T>(reader, shape);
    auto decoded = codec::decode<T>(inner, reader.get_bytes(reader.left()), shape);
    multiply(decoded.values, scales);
    return decoded;
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient, const ReceiverContext<Inner, T>& context,
                       std::vector<std::byte>& out, Rng& rng) {
    codec::encode_gradient<T>(inner, divide(gradient, out).view(), context, out, rng);
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const SenderContext<Inner, T>& context,
                            const Shape& shape) {
    ByteReader reader{in, "scaled"};
    const auto scales = read_scales<T>(reader, shape);
    auto gradient =
        codec::decode_gradient<T>(inner, reader.get_bytes(reader.left()), context, shape);
    multiply(gradient, scales);
    return gradient;
  }

  /// See is_straight_through.
  template <std::floating_point T>
  bool straight_through() const {
    return is_straight_through<T>(inner);
  }

  /// See StateVisitor.
  void each_state(auto&& see) { show_state(inner, see, "inner."); }

 private:
  static Index grain(Index width) { return std::max<Index>(1, (Index{1} << 14) / width); }

  /// Appends the scales; returns the quotients.
  template <class T>
  static Tensor<T> divide(TensorView<const T> x, std::vector<std::byte>& out) {
    detail::require_finite(x, "scaled");
    if (x.size() == 0) return Tensor<T>{x.shape()};
    const Index rows = x.shape().rows(), D = x.shape().back();
    auto quotients = Tensor<T>::uninitialised(x.shape());
    std::vector<T> scales(static_cast<std::size_t>(rows));
    parallel_for(rows, grain(D), [&](Index begin, Index end) {
      for (Index row = begin; row < end; ++row) {
        const T* const from = x.data() + row * D;
        T* const to = quotients.data() + row * D;
        const auto ends = detail::find_extremes<T>({from, static_cast<std::size_t>(D)});
        const T largest = std::max(-ends.low, ends.high);
        const T scale = largest > T{0} ? largest : T{1};
        scales[static_cast<std::size_t>(row)] = scale;
        for (Index d = 0; d < D; ++d)
          to[d] = detail::flush_tiny(detail::flush_tiny(from[d]) / scale);
      }
    });
    ByteWriter{out}.put_array(std::span<const T>{scales});
    return quotients;
  }

  template <class T>
  static std::vector<T> read_scales(ByteReader& reader, const Shape& shape) {
    const Index rows = shape.elements() == 0 ? 0 : shape.rows();
    reader.require(rows, sizeof(T));
    std::vector<T> scales(static_cast<std::size_t>(rows));
    reader.get_array(std::span{scales});
    for (T& scale : scales) {
      if (!std::isfinite(scale)) reader.refuse(Reason::not_finite, {"NaN or infinity as a scale"});
      scale = detail::flush_tiny(scale);
      if (!(scale > T{0})) reader.refuse(Reason::malformed, {"a scale that is not positive"});
    }
    return scales;
  }

  /// Quotients that Inner returns may be a little beyond 1: products stay finite.
  template <class T>
  static void multiply(Tensor<T>& x, const std::vector<T>& scales) {
    if (x.size() == 0) return;
    const Index D = x.shape().back();
    parallel_for(x.shape().rows(), grain(D), [&](Index begin, Index end) {
      for (Index row = begin; row < end; ++row) {
        T* const to = x.data() + row * D;
        const T scale = scales[static_cast<std::size_t>(row)];
        for (Index d = 0; d < D; ++d)
          to[d] = detail::flush_tiny(limited(detail::flush_tiny(to[d]) * scale));
      }
    });
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
