// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max
#include <cmath>      // isfinite
#include <concepts>   // floating_point
#include <cstddef>    // byte, size_t
#include <span>       // span
#include <string>     // string, to_string
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/codec/concepts.hpp>                // Decoded, receipts
#include <splitvit/codec/detail/finite_values.hpp>    // limited, require_finite
#include <splitvit/codec/detail/range_quantiser.hpp>  // find_extremes, flush_tiny
#include <splitvit/codec/receipts.hpp>                // is_straight_through
#include <splitvit/core/bytes.hpp>                    // ByteReader, ByteWriter
#include <splitvit/core/describe.hpp>                 // describe
#include <splitvit/core/error.hpp>                    // WireError
#include <splitvit/core/parallel.hpp>                 // parallel_for
#include <splitvit/core/random.hpp>                   // Rng
#include <splitvit/core/state.hpp>                    // show_state
#include <splitvit/tensor/tensor.hpp>                 // Tensor, TensorView

// TokenScaled: tokens of very different size, made alike for a codec that treats them alike.

namespace splitvit::codec {

/// Divides each token by its largest magnitude, sends these, and has the quotients, all in
/// [-1, 1], written by `Inner`. For codecs with shared ranges, above all on gradients, which
/// differ greatly between tokens.
///
/// Shapes  Any; a token is a row: (B, N, D) has B N of them.
/// Sent    Both ways: for each token its largest magnitude (4 bytes, 8 for double; 1 for a token
///         of zeros), then what Inner sends.
/// Grad    As Inner's.
/// Errors  Those of Inner; WireError: not_finite for NaN or infinity, truncated, or malformed
///         for a scale that is not positive.
template <class Inner>
struct TokenScaled {
  Inner inner = {};

  template <std::floating_point T>
  SenderReceipt<Inner, T> encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) {
    const Tensor<T> quotients = divide(x, out);
    return inner.encode(quotients.view(), out, rng);
  }

  template <std::floating_point T>
  Decoded<T, ReceiverReceipt<Inner, T>> decode(std::span<const std::byte> in, const Shape& shape) {
    ByteReader reader{in, "TokenScaled"};
    const auto scales = read_scales<T>(reader, shape);
    auto decoded = inner.template decode<T>(reader.get_bytes(reader.left()), shape);
    multiply(decoded.values, scales);
    return decoded;
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient, const ReceiverReceipt<Inner, T>& receipt,
                       std::vector<std::byte>& out, Rng& rng) {
    const Tensor<T> quotients = divide(gradient, out);
    inner.encode_gradient(quotients.view(), receipt, out, rng);
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const SenderReceipt<Inner, T>& receipt,
                            const Shape& shape) {
    ByteReader reader{in, "TokenScaled"};
    const auto scales = read_scales<T>(reader, shape);
    auto gradient =
        inner.template decode_gradient<T>(reader.get_bytes(reader.left()), receipt, shape);
    multiply(gradient, scales);
    return gradient;
  }

  /// See is_straight_through.
  template <std::floating_point T>
  bool straight_through() const {
    return is_straight_through<T>(inner);
  }

  /// What it does, on one line.
  std::string description() const { return "token_scaled inner=(" + describe(inner) + ")"; }

  /// See StateVisitor.
  void each_state(auto&& see) { show_state(inner, see, "inner."); }

 private:
  static Index grain(Index width) { return std::max<Index>(1, (Index{1} << 14) / width); }

  /// Appends the scales; returns the quotients.
  template <class T>
  static Tensor<T> divide(TensorView<const T> x, std::vector<std::byte>& out) {
    detail::require_finite(x, "TokenScaled");
    if (x.size() == 0) return Tensor<T>{x.shape()};
    const Index rows = x.shape().rows(), D = x.shape().back();
    auto quotients = Tensor<T>::uninitialised(x.shape());
    std::vector<T> scales(static_cast<std::size_t>(rows));
    parallel_for(rows, grain(D), [&](Index begin, Index end) {
      for (Index row = begin; row < end; ++row) {
        const T* const from = x.data() + row * D;
        T* const to = quotients.data() + row * D;
        const auto ends = detail::find_extremes<T>({from, D});
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
    const auto rows = static_cast<std::size_t>(shape.elements() == 0 ? 0 : shape.rows());
    if (rows > reader.left() / sizeof(T))
      throw WireError(Reason::truncated, "TokenScaled: " + std::to_string(reader.left()) +
                                             " bytes for the scales of a tensor " + shape.text());
    std::vector<T> scales(rows);
    reader.get_array(std::span{scales});
    for (T& scale : scales) {
      if (!std::isfinite(scale))
        throw WireError(Reason::not_finite, "TokenScaled: NaN or infinity as a scale");
      scale = detail::flush_tiny(scale);
      if (!(scale > T{0}))
        throw WireError(Reason::malformed, "TokenScaled: a scale that is not positive");
    }
    return scales;
  }

  /// What Inner returns may be a little beyond 1: products stay finite.
  template <class T>
  static void multiply(Tensor<T>& x, const std::vector<T>& scales) {
    if (x.size() == 0) return;
    const Index D = x.shape().back();
    parallel_for(x.shape().rows(), grain(D), [&](Index begin, Index end) {
      for (Index row = begin; row < end; ++row) {
        T* const to = x.data() + row * D;
        const T scale = scales[static_cast<std::size_t>(row)];
        for (Index d = 0; d < D; ++d)
          to[d] = detail::flush_tiny(detail::limited(detail::flush_tiny(to[d]) * scale));
      }
    });
  }
};

}  // namespace splitvit::codec
