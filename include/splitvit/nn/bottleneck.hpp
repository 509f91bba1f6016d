// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>   // to_chars
#include <cmath>      // nearbyint, sqrt
#include <concepts>   // floating_point
#include <cstddef>    // size_t
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/autograd/ops/relu.hpp>  // relu
#include <splitvit/core/random.hpp>        // Rng
#include <splitvit/nn/concepts.hpp>        // nested, parameters
#include <splitvit/nn/cut.hpp>             // Head, Tail
#include <splitvit/nn/init.hpp>            // name_hash
#include <splitvit/nn/linear.hpp>          // Linear
#include <splitvit/nn/principal_axes.hpp>  // TokenMoments, principal_axes

// Bottleneck: a pair of small networks around the cut, trained with the model. The client's
// encoder makes every token narrower, the server's decoder makes it wide again. Letters: D, the
// width of a token; w, its width on the way.
//
//   const BottleneckOptions narrow{.ratio = 0.1};
//   auto head = with_encoder(make_head<float>(vit, cut, rng), make_encoder<float>(vit.dim, narrow,
//   rng)); auto tail = with_decoder(make_decoder<float>(vit.dim, narrow, rng),
//   make_tail<float>(vit, cut, rng));

namespace splitvit::nn {

/// The shape of both halves. They must be equal on both sides.
struct BottleneckOptions {
  double ratio = 0.25;        ///< w / D, in (0, 1]
  Index layers = 2;           ///< linear layers in each half
  bool decoder_relu = false;  ///< ReLU behind the decoder, too, which then has no negative output

  /// On one line, for the handshake.
  std::string description() const {
    char digits[32];
    const std::string text{digits, std::to_chars(digits, digits + sizeof digits, ratio).ptr};
    return "bottleneck ratio=" + text + " layers=" + std::to_string(layers) +
           " decoder_relu=" + (decoder_relu ? "yes" : "no");
  }
};

/// w: ratio * D, rounded, halves to the even number.
///
/// Errors  std::invalid_argument if D or layers is below 1, ratio outside (0, 1], or w 0.
inline Index bottleneck_width(Index D, const BottleneckOptions& options) {
  const auto fail = [](const std::string& what) {
    throw std::invalid_argument("bottleneck: " + what);
  };
  if (D < 1) fail("dim is " + std::to_string(D) + ", wanted at least 1");
  if (!(options.ratio > 0.0 && options.ratio <= 1.0))  // refuses NaN, too
    fail("ratio is " + std::to_string(options.ratio) + ", wanted a fraction in (0, 1]");
  if (options.layers < 1)
    fail("layers is " + std::to_string(options.layers) + ", wanted at least 1");
  const auto w = static_cast<Index>(std::nearbyint(options.ratio * static_cast<double>(D)));
  if (w < 1)
    fail("ratio " + std::to_string(options.ratio) + " of dim " + std::to_string(D) +
         " leaves nothing");
  return w;
}

/// Widths on the way from one to another in equal steps, fractions cut off: layers + 1 of them.
inline std::vector<Index> widths_between(Index from, Index to, Index layers) {
  std::vector<Index> widths;
  for (Index i = 0; i <= layers; ++i) widths.push_back((from * (layers - i) + to * i) / layers);
  return widths;
}

namespace detail {

/// Linear layers with ReLU between them, and behind the last one if asked for.
template <std::floating_point T>
struct LinearStack {
  std::vector<Linear<T>> layers;
  bool relu_at_end = false;

  LinearStack(const std::vector<Index>& widths, bool relu_at_end_) : relu_at_end{relu_at_end_} {
    for (std::size_t i = 0; i + 1 < widths.size(); ++i)
      layers.emplace_back(widths[i], widths[i + 1]);
  }

  Index input_width() const { return layers.front().weight.dim(1); }
  Index output_width() const { return layers.back().weight.dim(0); }

  Variable<T> operator()(Variable<T> x) const {
    for (const Linear<T>& layer : layers) {
      x = layer(x);
      if (relu_at_end || &layer != &layers.back()) x = relu(x);
    }
    return x;
  }

  void each_parameter(auto&& see) const {
    std::size_t number = 0;
    for (const Linear<T>& layer : layers) nested(std::to_string(number++) + ".", layer, see);
  }
};

/// Uniform within 1 / sqrt(inputs), as torch.nn.Linear. A value depends on rng's seed and stream
/// and on the parameter's name, `prefix` included, alone.
template <std::floating_point T>
void initialise_uniform(const std::string& prefix, const LinearStack<T>& stack, const Rng& rng) {
  double bound = 0.0;  // set by the weight, which comes before its bias
  stack.each_parameter([&](const std::string& name, const Variable<T>& parameter) {
    Rng own = rng.at(name_hash(prefix + name));
    if (parameter.shape().rank() == 2)
      bound = 1.0 / std::sqrt(static_cast<double>(parameter.dim(1)));
    for (T& value : parameter.mutable_value().span())
      value = static_cast<T>(own.uniform(-bound, bound));
  });
}

}  // namespace detail

/// The client's half.
///
/// Shapes  (..., D) -> (..., w).
/// Source  BottleNet++, arXiv:1910.14315, as Federico-Alvetreti/Split-Learning_ADC,
///         methods/bottlenet.py, adapts it to tokens.
template <std::floating_point T>
struct Encoder : detail::LinearStack<T> {
  /// All parameters zero; see make_encoder and pca_bottleneck.
  Encoder(Index D, const BottleneckOptions& options)
      : detail::LinearStack<T>{widths_between(D, bottleneck_width(D, options), options.layers),
                               false} {}
};

/// The server's half.
///
/// Shapes  (..., w) -> (..., D).
/// Differs The authors' code always ends it with ReLU, as decoder_relu does; tokens have
///         negative values, which it then cannot give back.
template <std::floating_point T>
struct Decoder : detail::LinearStack<T> {
  Decoder(Index D, const BottleneckOptions& options)
      : detail::LinearStack<T>{widths_between(bottleneck_width(D, options), D, options.layers),
                               options.decoder_relu} {}
};

/// Makes the client's half, with starting values drawn from rng's seed and stream.
/// Errors  as bottleneck_width.
template <std::floating_point T>
Encoder<T> make_encoder(Index D, const BottleneckOptions& options, const Rng& rng) {
  Encoder<T> encoder{D, options};
  detail::initialise_uniform<T>("encoder.", encoder, rng);
  return encoder;
}

/// The counterpart of make_encoder.
template <std::floating_point T>
Decoder<T> make_decoder(Index D, const BottleneckOptions& options, const Rng& rng) {
  Decoder<T> decoder{D, options};
  detail::initialise_uniform<T>("decoder.", decoder, rng);
  return decoder;
}

template <std::floating_point T>
struct Bottleneck {
  Encoder<T> encoder;
  Decoder<T> decoder;
};

/// The best linear pair for the tokens that were shown: of all pairs with one layer each it loses
/// the least of them in the sense of squares. The encoder is the w leading principal axes of the
/// centred tokens, the decoder their transpose plus the mean. Its options are {.ratio = ratio,
/// .layers = 1}; what the client finds must be brought to the server.
///
/// Errors  std::invalid_argument if no token was shown; as bottleneck_width.
template <std::floating_point T>
Bottleneck<T> pca_bottleneck(const TokenMoments& moments, double ratio) {
  const BottleneckOptions options{.ratio = ratio, .layers = 1};
  const Index D = moments.width();
  Bottleneck<T> pair{{D, options}, {D, options}};
  const Index w = pair.encoder.output_width();
  const PrincipalAxes found = principal_axes(moments);
  const Linear<T>& down = pair.encoder.layers[0];
  const Linear<T>& up = pair.decoder.layers[0];
  for (Index k = 0; k < w; ++k) {
    const double* const axis = found.axes.row(k);
    double shift = 0.0;
    for (Index d = 0; d < D; ++d) {
      shift += axis[d] * found.mean[static_cast<std::size_t>(d)];
      down.weight.mutable_value()[k * D + d] = static_cast<T>(axis[d]);
      up.weight.mutable_value()[d * w + k] = static_cast<T>(axis[d]);
    }
    down.bias.mutable_value()[k] = static_cast<T>(-shift);
  }
  for (Index d = 0; d < D; ++d)
    up.bias.mutable_value()[d] = static_cast<T>(found.mean[static_cast<std::size_t>(d)]);
  return pair;
}

/// Leaves a module's parameters as they are from now on: no gradient reaches them, and an
/// optimiser passes them by. Gradients still flow through. See Frozen for a while only.
template <std::floating_point T, Module<T> M>
void freeze(const M& module) {
  for (const auto& [name, parameter] : parameters<T>(module)) parameter.set_needs_gradient(false);
}

/// A client's part that ends with an encoder. What it returns is what crosses the cut, in
/// evaluation, too, so a stage behind it sees encoded tokens; `head` and `encoder` may be called
/// apart, with the stage between.
///
/// Shapes  images (B, channels, image, image) -> tokens (B, N, w), cls_attention (B, N).
template <std::floating_point T>
struct EncodedHead {
  Head<T> head;
  Encoder<T> encoder;
  VitConfig config = head.config;
  Index cut = head.cut;

  /// How wide a token is that crosses the cut.
  Index sent_width() const { return encoder.output_width(); }

  Attended<T> operator()(const Variable<T>& images, ClsRow cls_row = ClsRow::keep) const {
    Attended<T> out = head(images, cls_row);
    out.y = encoder(out.y);
    return out;
  }

  void each_parameter(auto&& see) const {
    head.each_parameter(see);
    nested("encoder.", encoder, see);
  }
};

/// A server's part that begins with a decoder.
///
/// Shapes  tokens (B', N', w) -> logits (B', classes).
template <std::floating_point T>
struct DecodedTail {
  Decoder<T> decoder;
  Tail<T> tail;
  VitConfig config = tail.config;
  Index cut = tail.cut;

  Index sent_width() const { return decoder.input_width(); }

  Variable<T> operator()(const Variable<T>& tokens) const { return tail(decoder(tokens)); }

  void each_parameter(auto&& see) const {
    nested("decoder.", decoder, see);
    tail.each_parameter(see);
  }
};

/// Errors  ShapeError if the encoder takes tokens of another width.
template <std::floating_point T>
EncodedHead<T> with_encoder(Head<T> head, Encoder<T> encoder) {
  if (encoder.input_width() != head.config.dim)
    throw ShapeError("with_encoder: the encoder takes tokens of width " +
                     std::to_string(encoder.input_width()) + ", the head makes them " +
                     std::to_string(head.config.dim) + " wide");
  return {std::move(head), std::move(encoder)};
}

/// Errors  ShapeError if the decoder makes tokens of another width.
template <std::floating_point T>
DecodedTail<T> with_decoder(Decoder<T> decoder, Tail<T> tail) {
  if (decoder.output_width() != tail.config.dim)
    throw ShapeError("with_decoder: the decoder makes tokens of width " +
                     std::to_string(decoder.output_width()) + ", the tail takes them " +
                     std::to_string(tail.config.dim) + " wide");
  return {std::move(decoder), std::move(tail)};
}

}  // namespace splitvit::nn
