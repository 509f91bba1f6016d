// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n
#include <variant>    // monostate

#include <splitvit/codec/concepts.hpp>        // contexts, Decoded, encode, NoContext
#include <splitvit/codec/detail/require.hpp>  // require_finite
#include <splitvit/codec/float32.hpp>         // Float32
#include <splitvit/core/bytes.hpp>            // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>            // Reason, ShapeError, WireError
#include <splitvit/core/options.hpp>          // describe_options, Nested, Required
#include <splitvit/core/random.hpp>           // Rng
#include <splitvit/core/state.hpp>            // show_state
#include <splitvit/tensor/tensor.hpp>         // Tensor, TensorView

namespace splitvit::inline SPLITVIT_BUILD::codec {

/// The contexts of the two codecs.
template <class ClsContext, class RestContext>
struct PartContexts : std::conditional_t<std::derived_from<ClsContext, NoContext> &&
                                             std::derived_from<RestContext, NoContext>,
                                         NoContext, std::monostate> {
  ClsContext cls = {};
  RestContext rest = {};
  Index saturated = 0;  ///< see saturated_values
};

/// Token 0 by `Cls`, the others by `Rest`. CLS holds the largest outliers: coded apart, it does not
/// widen ranges that are shared with other tokens.
///
/// Shapes  x (B, N, D), N at least 1: (B, 1, D) by Cls, (B, N-1, D) by Rest.
/// Sent    In both passes: u32, how many bytes Cls takes; these bytes; the bytes of Rest. For N = 1
///         only what Cls sends.
/// Grad    As the two write it.
/// Errors  See Codec.
template <class Rest, class Cls = Float32>
struct ClsExact {
  Rest rest = {};
  Cls cls = {};

  static constexpr std::string_view name = "cls-exact";
  static void each_option(auto& self, auto&& see) {
    see("", self.rest, Required{Nested{}});
    see("cls", self.cls, Nested{});
  }
  std::string description() const { return describe_options(*this); }

  template <std::floating_point T>
  using Sent = PartContexts<SenderContext<Cls, T>, SenderContext<Rest, T>>;
  template <std::floating_point T>
  using Received = PartContexts<ReceiverContext<Cls, T>, ReceiverContext<Rest, T>>;

  template <std::floating_point T>
  Sent<T> encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) {
    Sent<T> sent;
    write(x, out, sent, [&](auto& part, TensorView<const T> tokens, auto& context, auto& to) {
      context = codec::encode<T>(part, tokens, to, rng);
    });
    sent.saturated = saturated_values(sent.cls) + saturated_values(sent.rest);
    return sent;
  }

  template <std::floating_point T>
  Decoded<T, Received<T>> decode(std::span<const std::byte> in, const Shape& shape) {
    Received<T> received;
    auto x =
        read<T>(in, shape, received, [](auto& part, auto bytes, const Shape& own, auto& context) {
          auto decoded = codec::decode<T>(part, bytes, own);
          context = std::move(decoded.context);
          return std::move(decoded.values);
        });
    return {std::move(x), std::move(received)};
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient, const Received<T>& received,
                       std::vector<std::byte>& out, Rng& rng) {
    write(gradient, out, received,
          [&](auto& part, TensorView<const T> tokens, const auto& context, auto& to) {
            codec::encode_gradient<T>(part, tokens, context, to, rng);
          });
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const Sent<T>& sent,
                            const Shape& shape) {
    return read<T>(in, shape, sent,
                   [](auto& part, auto bytes, const Shape& own, const auto& context) {
                     return codec::decode_gradient<T>(part, bytes, context, own);
                   });
  }

  /// See is_straight_through.
  template <std::floating_point T>
  bool straight_through() const {
    return is_straight_through<T>(cls) && is_straight_through<T>(rest);
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

  /// The opposite: writes them there, from the first one on.
  template <class T>
  static void put_tokens(const Tensor<T>& part, Index first, Tensor<T>& x) {
    const Index n = x.dim(1) * x.dim(2), D = x.dim(2), size = part.dim(1) * D;
    for (Index b = 0; b < x.dim(0); ++b)
      std::copy_n(part.data() + b * size, size, x.data() + b * n + first * D);
  }

  /// Calls write_part(codec, tokens, context, bytes) for both parts of x.
  template <class T, class Contexts, class WritePart>
  void write(TensorView<const T> x, std::vector<std::byte>& out, Contexts& contexts,
             const WritePart& write_part) {
    if (x.shape().rank() != 3 || x.dim(1) < 1)
      throw ShapeError({"cls-exact: tensor ", x.shape().text(), ", wanted (B, N, D) with CLS"});
    detail::require_finite(x, "cls-exact");
    if (x.dim(1) == 1) {
      write_part(cls, x, contexts.cls, out);
      return;
    }
    const Tensor<T> first = tokens_of(x, 0, 1), others = tokens_of(x, 1, x.dim(1));
    std::vector<std::byte> cls_bytes;
    write_part(cls, first.view(), contexts.cls, cls_bytes);
    if (cls_bytes.size() > std::numeric_limits<std::uint32_t>::max())
      throw WireError(Reason::too_long, {"cls-exact: ", cls_bytes.size(),
                                         " bytes for the CLS tokens of ", x.shape().text()});
    ByteWriter writer{out};
    writer.put(static_cast<std::uint32_t>(cls_bytes.size()));
    writer.put_bytes(cls_bytes);
    write_part(rest, others.view(), contexts.rest, out);
  }

  /// Calls read_part(codec, bytes, shape, context) for both parts.
  template <class T, class Contexts, class ReadPart>
  Tensor<T> read(std::span<const std::byte> in, const Shape& shape, Contexts& contexts,
                 const ReadPart& read_part) {
    if (shape.rank() != 3 || shape[1] < 1)
      throw WireError(Reason::wrong_shape,
                      {"cls-exact: a tensor ", shape.text(), ", wanted (B, N, D) with CLS"});
    if (shape[1] == 1) return read_part(cls, in, shape, contexts.cls);
    ByteReader reader{in, "cls-exact"};
    const std::size_t size = reader.get<std::uint32_t>();
    const Tensor<T> first = read_part(cls, reader.get_bytes(size), shape.with(1, 1), contexts.cls);
    const Tensor<T> others = read_part(rest, reader.get_bytes(reader.left()),
                                       shape.with(1, shape[1] - 1), contexts.rest);
    auto x = Tensor<T>::uninitialised(shape);
    put_tokens(first, 0, x);
    put_tokens(others, 1, x);
    return x;
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
