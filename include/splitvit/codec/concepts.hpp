// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/codec/detail/require.hpp>  // require_finite
#include <splitvit/core/bytes.hpp>            // ByteReader
#include <splitvit/core/options.hpp>          // require_options
#include <splitvit/core/random.hpp>           // Rng
#include <splitvit/core/shape.hpp>            // Index, Shape
#include <splitvit/tensor/tensor.hpp>         // Tensor, TensorView

// Codec: what a type must offer to decide how the tensor at the cut becomes bytes in the forward
// pass, and its gradient in the backward pass. Format: the short form of a codec that treats both
// alike.

namespace splitvit::inline SPLITVIT_BUILD::codec {

/// Which tensor crosses the cut.
enum class Pass : std::uint8_t {
  forward,  ///< activations
  backward  ///< their gradient
};

/// The context of a codec whose backward pass needs nothing from the forward pass.
struct NoContext {
  Index saturated = 0;  ///< numbers beyond the largest one that the codec can write, sent as it
};

/// What decode returns: the tensor, and what the receiver needs to encode the gradient.
template <class T, class Context>
struct Decoded {
  Tensor<T> values;
  Context context;
};

/// A straight-through codec in two functions: the gradient is written and read as if encoding
/// were the identity.
///
///   put(x, pass, out, rng)        appends x as bytes to out; returns how many numbers were too
///                                 large and were replaced by the largest one
///   get<T>(reader, shape, pass)   the tensor of this shape that put wrote
///
/// put gets finite numbers only. get reads hostile bytes: it throws WireError, and takes no memory
/// beyond the announced shape before it has checked them. Bytes that it leaves are refused.
template <class F, class T>
concept Format = std::copy_constructible<F> &&
                 requires(F& format, TensorView<const T> x, Pass pass, std::vector<std::byte>& out,
                          Rng& rng, ByteReader& in, const Shape& shape) {
                   { format.put(x, pass, out, rng) } -> std::same_as<Index>;
                   { format.template get<T>(in, shape, pass) } -> std::same_as<Tensor<T>>;
                 };

/// What a codec with a budget must know of the message that its bytes become a part of. Zeros: the
/// message is the codec's bytes alone, and its tensor is the uncompressed one.
struct MessageFrame {
  std::uint64_t uncompressed = 0;     ///< bytes of the tokens before stages and encoder
  std::uint64_t others = 0;           ///< bytes of the message that are not the codec's
  std::uint64_t others_of_reply = 0;  ///< the same of the answer
};

/// Tells a codec of the message that is encoded next, if it has a function for that.
template <class C>
void set_frame(C& codec, const MessageFrame& frame) {
  if constexpr (requires { codec.set_frame(frame); }) codec.set_frame(frame);
}

/// What a codec has chosen for the last step, for logs; empty if it chooses nothing.
template <class C>
std::string log_of(const C& codec) {
  if constexpr (requires { codec.log(); })
    return codec.log();
  else
    return {};
}

namespace detail {
/// The codec's name in texts, for errors.
template <class C>
std::string name_of_codec() {
  if constexpr (requires { C::name; })
    return std::string{C::name};
  else
    return "codec";
}

/// put with its checks.
template <class F, class T>
NoContext write(F& format, TensorView<const T> x, Pass pass, std::vector<std::byte>& out,
                Rng& rng) {
  const std::string name = name_of_codec<F>();
  if constexpr (HasOptions<F>) require_options(name, format);
  require_finite(x, name);
  return {.saturated = format.put(x, pass, out, rng)};
}

/// get with its checks.
template <class T, class F>
Tensor<T> read(F& format, std::span<const std::byte> in, const Shape& shape, Pass pass) {
  const std::string name = name_of_codec<F>();
  if constexpr (HasOptions<F>) require_options(name, format);
  ByteReader reader{in, name};
  Tensor<T> x = format.template get<T>(reader, shape, pass);
  reader.expect_end();
  return x;
}
}  // namespace detail

/// The four functions of a codec, for formats, too. See Codec.
template <std::floating_point T, class C>
auto encode(C&& codec, TensorView<const T> x, std::vector<std::byte>& out, Rng& rng)
    -> decltype(codec.encode(x, out, rng)) {
  return codec.encode(x, out, rng);
}
template <std::floating_point T, class F>
  requires Format<std::remove_reference_t<F>, T>
NoContext encode(F&& format, TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) {
  return detail::write(format, x, Pass::forward, out, rng);
}

template <std::floating_point T, class C>
auto decode(C&& codec, std::span<const std::byte> in, const Shape& shape)
    -> decltype(codec.template decode<T>(in, shape)) {
  return codec.template decode<T>(in, shape);
}
template <std::floating_point T, class F>
  requires Format<std::remove_reference_t<F>, T>
Decoded<T, NoContext> decode(F&& format, std::span<const std::byte> in, const Shape& shape) {
  return {detail::read<T>(format, in, shape, Pass::forward), {}};
}

/// The context that `encode` and `decode` of codec C return.
template <class C, class T>
using SenderContext =
    decltype(encode<T>(std::declval<C&>(), std::declval<TensorView<const T>>(),
                       std::declval<std::vector<std::byte>&>(), std::declval<Rng&>()));
template <class C, class T>
using ReceiverContext =
    decltype(decode<T>(std::declval<C&>(), std::declval<std::span<const std::byte>>(),
                       std::declval<const Shape&>())
                 .context);

template <std::floating_point T, class C, class Context>
auto encode_gradient(C&& codec, TensorView<const T> gradient, const Context& received,
                     std::vector<std::byte>& out, Rng& rng)
    -> decltype(codec.encode_gradient(gradient, received, out, rng)) {
  return codec.encode_gradient(gradient, received, out, rng);
}
template <std::floating_point T, class F>
  requires Format<std::remove_reference_t<F>, T>
void encode_gradient(F&& format, TensorView<const T> gradient, const NoContext&,
                     std::vector<std::byte>& out, Rng& rng) {
  detail::write(format, gradient, Pass::backward, out, rng);
}

template <std::floating_point T, class C, class Context>
auto decode_gradient(C&& codec, std::span<const std::byte> in, const Context& sent,
                     const Shape& shape)
    -> decltype(codec.template decode_gradient<T>(in, sent, shape)) {
  return codec.template decode_gradient<T>(in, sent, shape);
}
template <std::floating_point T, class F>
  requires Format<std::remove_reference_t<F>, T>
Tensor<T> decode_gradient(F&& format, std::span<const std::byte> in, const NoContext&,
                          const Shape& shape) {
  return detail::read<T>(format, in, shape, Pass::backward);
}

/// Writes the tensor that crosses the cut as bytes, and its gradient in the backward pass. A codec
/// is a Format, or has four member functions:
///
///   client                                     server
///   codec.encode(x, out, rng) -> sent
///                                              codec.decode<T>(in, shape) -> {x', received}
///                                              codec.encode_gradient(g', received, out, rng)
///   codec.decode_gradient<T>(in, sent, shape) -> g
///
///   expression       meaning
///   encode           appends x as bytes to out; returns the sender's context
///   decode           x', of the announced shape. decode of encode is x up to the codec's stated
///                    error; equal bytes give equal bits everywhere
///   encode_gradient  appends g', the gradient at x', as bytes to out
///   decode_gradient  g, the gradient at x, of the announced shape
///
/// A context is what the forward pass saves for the backward pass. It is never sent, and belongs to
/// one step. Random numbers come only from rng. Bytes are hostile: both decoders accept them
/// completely or throw WireError, and take no memory beyond the announced shape before they have
/// checked them.
///
/// Errors of all codecs: std::invalid_argument for options outside their range; ShapeError for a
/// tensor that they do not take, or a gradient of another shape than its tensor; WireError:
/// not_finite for NaN and infinity on both sides (out is then left as it was), and wrong_shape,
/// truncated or malformed for bytes that do not hold the announced tensor.
///
/// A codec with state, which changes from step to step, has encoders that are not const, and
/// each_state(see), which calls see(name, value) for all of it (core/state.hpp); a codec that holds
/// other codecs shows their state. State is part of the codec's value, apart from its options. Two
/// equal codecs write equal bytes for equal numbers and an equal rng: so a step is taken by a copy,
/// which is kept on commit. A cache that only saves time, such as C3's keys, is no state.
template <class C, class T>
concept Codec = std::copy_constructible<C> &&
                requires(C& codec, TensorView<const T> x, std::vector<std::byte>& out, Rng& rng,
                         std::span<const std::byte> in, const Shape& shape,
                         const SenderContext<C, T>& sent, const ReceiverContext<C, T>& received) {
                  { encode<T>(codec, x, out, rng) } -> std::movable;
                  {
                    decode<T>(codec, in, shape)
                  } -> std::same_as<Decoded<T, ReceiverContext<C, T>>>;
                  { encode_gradient<T>(codec, x, received, out, rng) } -> std::same_as<void>;
                  { decode_gradient<T>(codec, in, sent, shape) } -> std::same_as<Tensor<T>>;
                };

/// How many numbers the encoder had to replace by the largest one that it can write; 0 for a
/// codec that does not count them.
template <class Context>
Index saturated_values(const Context& context) {
  if constexpr (requires {
                  { context.saturated } -> std::convertible_to<Index>;
                })
    return context.saturated;
  else
    return 0;
}

/// A codec whose backward pass needs nothing from the forward pass. Its contexts are NoContext, or
/// derived from it.
template <class C, class T>
concept StraightThrough = Codec<C, T> && std::derived_from<SenderContext<C, T>, NoContext> &&
                          std::derived_from<ReceiverContext<C, T>, NoContext> &&
                          std::default_initializable<SenderContext<C, T>> &&
                          std::default_initializable<ReceiverContext<C, T>>;

/// The same as a value: a codec whose parts are chosen at run time says it by itself.
template <std::floating_point T, Codec<T> C>
bool is_straight_through(const C& codec) {
  if constexpr (requires {
                  { codec.template straight_through<T>() } -> std::same_as<bool>;
                })
    return codec.template straight_through<T>();
  else
    return StraightThrough<C, T>;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
