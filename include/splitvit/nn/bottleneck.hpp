// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>  // nearbyint, sqrt

#include <splitvit/autograd/ops/activation.hpp>  // relu
#include <splitvit/core/options.hpp>             // names_of, require_options, Whole
#include <splitvit/core/random.hpp>              // Rng
#include <splitvit/core/text.hpp>                // exact_text
#include <splitvit/nn/block.hpp>                 // Linear
#include <splitvit/nn/concepts.hpp>              // nested, ParameterVisitor
#include <splitvit/nn/init.hpp>                  // name_hash

// Bottleneck: two small networks around a cut, trained with the model. The encoder makes every
// token narrower, from width D to w; after the cut the decoder makes it wide again.
//
//   auto [client_part, server_part] = cut_in_two<float>(vit, cut, rng);
//   client_part.encoder = make_encoder<float>(vit.dim, {.ratio = 0.1}, rng);
//   server_part.decoder = make_decoder<float>(vit.dim, {.ratio = 0.1}, rng);

namespace splitvit::inline SPLITVIT_BUILD::nn {

enum class BottleneckStart {
  random,  ///< see make_encoder
  pca,     ///< by pca_bottleneck, which the client calls before it trains
};

/// The shape of encoder and decoder. Both sides must have equal options.
struct BottleneckOptions {
  double ratio = 0.25;        ///< w / D, in (0, 1]
  Index layers = 2;           ///< linear layers in each of the two, 1..64; 1 for pca
  bool decoder_relu = false;  ///< ReLU at the decoder's end, too: it then has no negative output
  bool frozen = false;        ///< neither of the two learns
  BottleneckStart start = BottleneckStart::random;

  static constexpr std::string_view name = "bottleneck";
  static void each_option(auto& self, auto&& see) {
    see("", self.ratio, Required{fraction("R")});
    see("start", self.start,
        names_of<BottleneckStart>(
            {{"random", BottleneckStart::random}, {"pca", BottleneckStart::pca}}));
    const int most_layers = self.start == BottleneckStart::pca ? 1 : 64;
    see("layers", self.layers, Whole{1, most_layers, "COUNT"});
    see("decoder_relu", self.decoder_relu, yes_no);
    see("frozen", self.frozen, yes_no);
  }
  std::string description() const { return describe_options(*this); }

  friend bool operator==(const BottleneckOptions&, const BottleneckOptions&) = default;
};

/// w: ratio * D, rounded, halves to the even number.
/// Errors  std::invalid_argument if D is below 1, an option outside its range, or w 0.
inline Index bottleneck_width(Index D, const BottleneckOptions& options) {
  require_option("bottleneck", "dim", D, at_least(1, "D"));
  require_options("bottleneck", options);
  const auto w = static_cast<Index>(std::nearbyint(options.ratio * static_cast<double>(D)));
  if (w < 1)
    throw ArgumentError(
        {"bottleneck: ratio ", exact_text(options.ratio), " of dim ", D, " leaves nothing"});
  return w;
}

/// layers + 1 widths from one to another in equal steps, fractions cut off.
inline std::vector<Index> widths_between(Index from, Index to, Index layers) {
  std::vector<Index> widths;
  for (Index i = 0; i <= layers; ++i) widths.push_back((from * (layers - i) + to * i) / layers);
  return widths;
}

namespace detail {
/// Linear layers with ReLU between them, and after the last one with relu_at_end.
template <std::floating_point T>
struct LinearStack {
  BottleneckOptions options;
  bool relu_at_end;
  std::vector<Linear<T>> layers;

  LinearStack(Index from, Index to, const BottleneckOptions& o, bool relu_at_end_)
      : options{o}, relu_at_end{relu_at_end_} {
    const std::vector<Index> widths = widths_between(from, to, options.layers);
    for (std::size_t i = 1; i < widths.size(); ++i) layers.emplace_back(widths[i - 1], widths[i]);
    if (options.frozen) freeze<T>(*this);
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

/// Uniform within 1 / sqrt(inputs), as torch.nn.Linear. A value depends on rng and on the
/// parameter's name with `prefix` alone.
template <std::floating_point T, class Network>
Network initialised(const std::string& prefix, Network network, const Rng& rng) {
  double bound = 0.0;  // set by the weight, which comes before its bias
  const auto set = [&](const std::string& name, const Variable<T>& parameter) {
    Rng own = rng.at(name_hash(prefix + name));
    if (parameter.shape().rank() == 2)
      bound = 1.0 / std::sqrt(static_cast<double>(parameter.dim(1)));
    for (T& value : parameter.mutable_value().span())
      value = static_cast<T>(own.uniform(-bound, bound));
  };
  network.each_parameter(ParameterVisitor<T>{set});
  return network;
}
}  // namespace detail

/// The network before the cut.
/// Shapes  (..., D) -> (..., w).
/// Source  BottleNet++, arXiv:1910.14315, as Federico-Alvetreti/Split-Learning_ADC,
///         methods/bottlenet.py, adapts it to tokens.
template <std::floating_point T>
struct Encoder : detail::LinearStack<T> {
  /// All parameters zero; see make_encoder, and pca_bottleneck in principal_axes.hpp.
  Encoder(Index D, const BottleneckOptions& o)
      : detail::LinearStack<T>{D, bottleneck_width(D, o), o, false} {}

  Index token_width() const { return this->input_width(); }  ///< D
};

/// The network after the cut.
/// Shapes  (..., w) -> (..., D).
/// Differs The authors' code always ends it with ReLU, as decoder_relu does.
template <std::floating_point T>
struct Decoder : detail::LinearStack<T> {
  Decoder(Index D, const BottleneckOptions& o)
      : detail::LinearStack<T>{bottleneck_width(D, o), D, o, o.decoder_relu} {}

  Index token_width() const { return this->output_width(); }
};

/// Makes an encoder, with starting values drawn from rng's seed and stream.
/// Errors  as bottleneck_width.
template <std::floating_point T>
Encoder<T> make_encoder(Index D, const BottleneckOptions& options, const Rng& rng) {
  return detail::initialised<T>("encoder.", Encoder<T>{D, options}, rng);
}

/// The counterpart of make_encoder.
template <std::floating_point T>
Decoder<T> make_decoder(Index D, const BottleneckOptions& options, const Rng& rng) {
  return detail::initialised<T>("decoder.", Decoder<T>{D, options}, rng);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::nn
