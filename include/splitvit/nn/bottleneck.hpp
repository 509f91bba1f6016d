// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>      // nearbyint, sqrt
#include <concepts>   // floating_point
#include <cstddef>    // size_t
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <vector>     // vector

#include <splitvit/autograd/ops/relu.hpp>  // relu
#include <splitvit/core/random.hpp>        // Rng
#include <splitvit/core/text.hpp>          // exact_text, name_of
#include <splitvit/nn/concepts.hpp>        // nested, parameters
#include <splitvit/nn/init.hpp>            // name_hash
#include <splitvit/nn/linear.hpp>          // Linear
#include <splitvit/nn/principal_axes.hpp>  // TokenMoments, principal_axes

// Bottleneck: a pair of small networks around a cut, trained with the model. The encoder before the
// cut makes every token narrower, the decoder after it makes the token wide again. Letters: D, the
// width of the model's tokens; w, the width of a token that crosses the cut.
//
//   auto [client_part, server_part] = cut_in_two<float>(vit, cut, rng);
//   client_part.encoder = make_encoder<float>(vit.dim, {.ratio = 0.1}, rng);
//   server_part.decoder = make_decoder<float>(vit.dim, {.ratio = 0.1}, rng);

namespace splitvit::nn {

/// The shape of encoder and decoder. Both sides must have equal options.
struct BottleneckOptions {
  double ratio = 0.25;        ///< w / D, in (0, 1]
  Index layers = 2;           ///< linear layers in each of the two
  bool decoder_relu = false;  ///< ReLU at the decoder's end, too: it then has no negative output
  bool frozen = false;        ///< neither of the two learns

  /// On one line, for the handshake.
  std::string description() const {
    return "bottleneck ratio=" + exact_text(ratio) + " layers=" + std::to_string(layers) +
           " decoder_relu=" + name_of(yes_or_no, decoder_relu) +
           " frozen=" + name_of(yes_or_no, frozen);
  }

  friend bool operator==(const BottleneckOptions&, const BottleneckOptions&) = default;
};

/// w: ratio * D, rounded, halves to the even number.
///
/// Errors  std::invalid_argument if D is below 1, layers outside 1..64, ratio outside (0, 1], or
///         w 0.
inline Index bottleneck_width(Index D, const BottleneckOptions& options) {
  const auto fail = [](const std::string& what) {
    throw std::invalid_argument("bottleneck: " + what);
  };
  if (D < 1) fail("dim is " + std::to_string(D) + ", wanted at least 1");
  if (!(options.ratio > 0.0 && options.ratio <= 1.0))  // refuses NaN, too
    fail("ratio is " + std::to_string(options.ratio) + ", wanted a fraction in (0, 1]");
  if (options.layers < 1 || options.layers > 64)
    fail("layers is " + std::to_string(options.layers) + ", wanted 1 to 64");
  const auto w = static_cast<Index>(std::nearbyint(options.ratio * static_cast<double>(D)));
  if (w < 1)
    fail("ratio " + std::to_string(options.ratio) + " of dim " + std::to_string(D) +
         " leaves nothing");
  return w;
}

/// layers + 1 widths from one to another in equal steps, fractions cut off.
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

  LinearStack(const std::vector<Index>& widths, bool relu_at_end_, bool frozen)
      : relu_at_end{relu_at_end_} {
    for (std::size_t i = 0; i + 1 < widths.size(); ++i)
      layers.emplace_back(widths[i], widths[i + 1]);
    if (frozen) freeze<T>(*this);
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

/// The network before the cut.
///
/// Shapes  (..., D) -> (..., w).
/// Source  BottleNet++, arXiv:1910.14315, as Federico-Alvetreti/Split-Learning_ADC,
///         methods/bottlenet.py, adapts it to tokens.
template <std::floating_point T>
struct Encoder : detail::LinearStack<T> {
  BottleneckOptions options;

  /// All parameters zero; see make_encoder and pca_bottleneck.
  Encoder(Index D, const BottleneckOptions& options_)
      : detail::LinearStack<T>{widths_between(D, bottleneck_width(D, options_), options_.layers),
                               false, options_.frozen},
        options{options_} {}

  /// D, the width of the model's tokens.
  Index token_width() const { return this->input_width(); }
};

/// The network after the cut.
///
/// Shapes  (..., w) -> (..., D).
/// Differs The authors' code always ends it with ReLU, as decoder_relu does; tokens have
///         negative values, which it then cannot give back.
template <std::floating_point T>
struct Decoder : detail::LinearStack<T> {
  BottleneckOptions options;

  Decoder(Index D, const BottleneckOptions& options_)
      : detail::LinearStack<T>{widths_between(bottleneck_width(D, options_), D, options_.layers),
                               options_.decoder_relu, options_.frozen},
        options{options_} {}

  Index token_width() const { return this->output_width(); }
};

/// Makes an encoder, with starting values drawn from rng's seed and stream.
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

/// The best linear pair for the tokens in `moments`: of all pairs with one layer each it has the
/// smallest squared error. The encoder is the w leading principal axes of the centred tokens, the
/// decoder is their transpose plus the mean. The client, which computes the pair, must send the
/// decoder to the server: see split::Client::give_decoder.
///
/// Errors  std::invalid_argument if no token was shown, or options ask for more layers than one;
///         as bottleneck_width.
template <std::floating_point T>
Bottleneck<T> pca_bottleneck(const TokenMoments& moments, const BottleneckOptions& options) {
  if (options.layers != 1)
    throw std::invalid_argument("pca_bottleneck: " + std::to_string(options.layers) +
                                " layers, wanted one");
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

}  // namespace splitvit::nn
