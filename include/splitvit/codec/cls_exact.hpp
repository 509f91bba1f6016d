// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // copy_n
#include <concepts>     // derived_from, floating_point
#include <cstddef>      // byte, size_t
#include <cstdint>      // uint32_t
#include <limits>       // numeric_limits
#include <span>         // span
#include <string>       // string, to_string
#include <type_traits>  // conditional_t
#include <utility>      // move
#include <variant>      // monostate
#include <vector>       // vector

#include <splitvit/codec/concepts.hpp>              // Decoded, NoReceipt, receipts
#include <splitvit/codec/detail/finite_values.hpp>  // require_finite
#include <splitvit/codec/float32.hpp>               // Float32
#include <splitvit/codec/receipts.hpp>              // is_straight_through, saturated_values
#include <splitvit/core/bytes.hpp>                  // ByteReader, ByteWriter
#include <splitvit/core/describe.hpp>               // describe
#include <splitvit/core/error.hpp>                  // ShapeError, WireError
#include <splitvit/core/random.hpp>                 // Rng
#include <splitvit/core/state.hpp>                  // show_state
#include <splitvit/tensor/tensor.hpp>               // Tensor, TensorView

// ClsExact: the CLS token by one codec, the other tokens by another.

namespace splitvit::codec {

/// What both sides remember of the two parts.
template <class ClsReceipt, class RestReceipt>
struct PartReceipts : std::conditional_t<std::derived_from<ClsReceipt, NoReceipt> &&
                                             std::derived_from<RestReceipt, NoReceipt>,
                                         NoReceipt, std::monostate> {
  ClsReceipt cls = {};
  RestReceipt rest = {};
  Index saturated = 0;  ///< see saturated_values
};

/// Token 0 by `Cls`, the others by `Rest`. CLS holds the largest outliers: taken out, it does
/// not widen ranges that are shared with other tokens.
///
/// Shapes  x (B, N, D), N at least 1: (B, 1, D) by Cls, (B, N-1, D) by Rest.
/// Sent    Both ways: u32, how many bytes Cls takes; those bytes; those of Rest. For N = 1 only
///         what Cls sends.
/// Grad    As the two write it.
/// Errors  Those of the two; ShapeError for a tensor that is not (B, N, D); WireError:
///         wrong_shape or truncated.
template <class Rest, class Cls = Float32>
struct ClsExact {
  Rest rest = {};
  Cls cls = {};

  template <std::floating_point T>
  using Sent = PartReceipts<SenderReceipt<Cls, T>, SenderReceipt<Rest, T>>;
  template <std::floating_point T>
  using Received = PartReceipts<ReceiverReceipt<Cls, T>, ReceiverReceipt<Rest, T>>;

  template <std::floating_point T>
  Sent<T> encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) {
    Sent<T> sent;
    write(
        x, out, [&](TensorView<const T> part, auto& to) { sent.cls = cls.encode(part, to, rng); },
        [&](TensorView<const T> part, auto& to) { sent.rest = rest.encode(part, to, rng); });
    sent.saturated = saturated_values(sent.cls) + saturated_values(sent.rest);
    return sent;
  }

  template <std::floating_point T>
  Decoded<T, Received<T>> decode(std::span<const std::byte> in, const Shape& shape) {
    Received<T> received;
    auto x = read<T>(
        in, shape,
        [&](auto bytes, const Shape& part) {
          auto decoded = cls.template decode<T>(bytes, part);
          received.cls = std::move(decoded.receipt);
          return std::move(decoded.values);
        },
        [&](auto bytes, const Shape& part) {
          auto decoded = rest.template decode<T>(bytes, part);
          received.rest = std::move(decoded.receipt);
          return std::move(decoded.values);
        });
    return {std::move(x), std::move(received)};
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient, const Received<T>& received,
                       std::vector<std::byte>& out, Rng& rng) {
    write(
        gradient, out,
        [&](TensorView<const T> part, auto& to) {
          cls.encode_gradient(part, received.cls, to, rng);
        },
        [&](TensorView<const T> part, auto& to) {
          rest.encode_gradient(part, received.rest, to, rng);
        });
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const Sent<T>& sent,
                            const Shape& shape) {
    return read<T>(
        in, shape,
        [&](auto bytes, const Shape& part) {
          return cls.template decode_gradient<T>(bytes, sent.cls, part);
        },
        [&](auto bytes, const Shape& part) {
          return rest.template decode_gradient<T>(bytes, sent.rest, part);
        });
  }

  /// See is_straight_through.
  template <std::floating_point T>
  bool straight_through() const {
    return is_straight_through<T>(cls) && is_straight_through<T>(rest);
  }

  /// What it does, on one line.
  std::string description() const {
    return "cls_exact cls=(" + describe(cls) + ") rest=(" + describe(rest) + ")";
  }

  /// See StateVisitor.
  void each_state(auto&& see) {
    show_state(cls, see, "cls.");
    show_state(rest, see, "rest.");
  }

 private:
  /// Tokens [first, last) of each sample of x (B, N, D).
  template <class T>
  static Tensor<T> tokens_of(TensorView<const T> x, Index first, Index last) {
    auto part = Tensor<T>::uninitialised(x.shape().with(1, last - first));
    const Index n = x.dim(1) * x.dim(2), D = x.dim(2), size = (last - first) * D;
    for (Index b = 0; b < x.dim(0); ++b)
      std::copy_n(x.data() + b * n + first * D, size, part.data() + b * size);
    return part;
  }

  /// Puts them there, from the first one on.
  template <class T>
  static void put_tokens(const Tensor<T>& part, Index first, Tensor<T>& x) {
    const Index n = x.dim(1) * x.dim(2), D = x.dim(2), size = part.dim(1) * D;
    for (Index b = 0; b < x.dim(0); ++b)
      std::copy_n(part.data() + b * size, size, x.data() + b * n + first * D);
  }

  /// Hands both parts of x to their codecs.
  template <class T, class WriteCls, class WriteRest>
  static void write(TensorView<const T> x, std::vector<std::byte>& out, const WriteCls& write_cls,
                    const WriteRest& write_rest) {
    if (x.shape().rank() != 3 || x.dim(1) < 1)
      throw ShapeError("ClsExact: tensor " + x.shape().text() + ", wanted (B, N, D) with CLS");
    detail::require_finite(x, "ClsExact");
    if (x.dim(1) == 1) {
      write_cls(x, out);
      return;
    }
    const Tensor<T> first = tokens_of(x, 0, 1), others = tokens_of(x, 1, x.dim(1));
    std::vector<std::byte> cls_bytes;
    write_cls(first.view(), cls_bytes);
    if (cls_bytes.size() > std::numeric_limits<std::uint32_t>::max())
      throw WireError(Reason::too_long, "ClsExact: " + std::to_string(cls_bytes.size()) +
                                            " bytes for the CLS tokens of " + x.shape().text());
    ByteWriter writer{out};
    writer.put(static_cast<std::uint32_t>(cls_bytes.size()));
    writer.put_bytes(cls_bytes);
    write_rest(others.view(), out);
  }

  /// Has both parts read by their codecs.
  template <class T, class ReadCls, class ReadRest>
  static Tensor<T> read(std::span<const std::byte> in, const Shape& shape, const ReadCls& read_cls,
                        const ReadRest& read_rest) {
    if (shape.rank() != 3 || shape[1] < 1)
      throw WireError(Reason::wrong_shape,
                      "ClsExact: a tensor " + shape.text() + ", wanted (B, N, D) with CLS");
    if (shape[1] == 1) return read_cls(in, shape);
    ByteReader reader{in, "ClsExact"};
    const std::size_t size = reader.get<std::uint32_t>();
    const Tensor<T> first = read_cls(reader.get_bytes(size), shape.with(1, 1));
    const Tensor<T> others =
        read_rest(reader.get_bytes(reader.left()), shape.with(1, shape[1] - 1));
    auto x = Tensor<T>::uninitialised(shape);
    put_tokens(first, 0, x);
    put_tokens(others, 1, x);
    return x;
  }
};

}  // namespace splitvit::codec
