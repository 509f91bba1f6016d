// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point
#include <optional>  // optional
#include <string>    // to_string

#include <splitvit/core/random.hpp>    // Rng
#include <splitvit/nn/bottleneck.hpp>  // Encoder, Decoder
#include <splitvit/nn/init.hpp>        // initialise
#include <splitvit/nn/vit.hpp>         // VitConfig, Stem, Blocks, Classifier

// A ViT cut in two: the head stays with the client, the tail with the server.

namespace splitvit::nn {

/// Errors  std::invalid_argument unless 1 <= cut < depth.
inline void require_cut(const VitConfig& config, Index cut) {
  require_valid(config);
  if (cut < 1 || cut >= config.depth)
    throw std::invalid_argument("cut " + std::to_string(cut) + ": a model of " +
                                std::to_string(config.depth) + " blocks can be cut after 1 to " +
                                std::to_string(config.depth - 1));
}

/// The client's part: patch embedding and the blocks before the cut, and where a bottleneck is
/// wanted, its encoder.
///
/// Shapes  images (B, channels, image, image) -> tokens (B, N, dim), cls_attention (B, N).
/// Units   `statistics`, unless null, collects what it was made for; see token_statistics.hpp.
template <std::floating_point T>
struct Head {
  VitConfig config;
  Index cut;
  Stem<T> stem;
  Blocks<T> blocks;
  std::optional<Encoder<T>> encoder = {};

  Head(const VitConfig& c, Index cut_)
      : config{(require_cut(c, cut_), c)},
        cut{cut_},
        stem{c.channels, c.patch, c.patches(), c.dim},
        blocks{c, 0, cut_} {}

  AttentionOutput<T> operator()(const Variable<T>& images,
                                NeedWeights need_weights = NeedWeights::cls,
                                TokenStatistics<T>* statistics = nullptr) const {
    return blocks(stem(images), need_weights, statistics);
  }

  /// What crosses the cut of tokens that the stages have left.
  ///
  /// Shapes  tokens (B', N', dim) -> (B', N', w); w is that of the encoder, dim without one.
  Variable<T> encode(const Variable<T>& tokens) const {
    return encoder ? (*encoder)(tokens) : tokens;
  }

  void each_parameter(auto&& see) const {
    stem.each_parameter(see);
    blocks.each_parameter(see);
    if (encoder) nested("encoder.", *encoder, see);
  }
};

/// The server's part: where a bottleneck is wanted, its decoder, the blocks after the cut, and the
/// classifier.
///
/// Shapes  tokens (B', N', sent_width()), any number of tokens with CLS first
///         -> logits (B', classes). log_sizes (B', N') or empty: where a token stands for
///         several, the logarithm of how many; attention then looks at it as at so many.
/// Source  log_sizes: Bolya et al., "Token Merging: Your ViT But Faster", arXiv:2210.09461,
///         proportional attention.
template <std::floating_point T>
struct Tail {
  VitConfig config;
  Index cut;
  Blocks<T> blocks;
  Classifier<T> classifier;
  std::optional<Decoder<T>> decoder = {};

  Tail(const VitConfig& c, Index cut_)
      : config{(require_cut(c, cut_), c)}, cut{cut_}, blocks{c, cut_, c.depth}, classifier{c} {}

  /// How wide a token is that crosses the cut.
  Index sent_width() const { return decoder ? decoder->input_width() : config.dim; }

  Variable<T> operator()(const Variable<T>& tokens, const Tensor<T>& log_sizes = {}) const {
    return classifier(blocks.cls(decoder ? (*decoder)(tokens) : tokens, log_sizes));
  }

  void each_parameter(auto&& see) const {
    if (decoder) nested("decoder.", *decoder, see);
    blocks.each_parameter(see);
    classifier.each_parameter(see);
  }
};

/// Makes the client's part, with starting values drawn from rng's seed and stream.
/// Errors  std::invalid_argument unless 1 <= cut < depth and the config makes a model.
template <std::floating_point T>
Head<T> make_head(const VitConfig& config, Index cut, const Rng& rng) {
  Head<T> head{config, cut};
  initialise<T>(head, rng);
  return head;
}

/// The counterpart of make_head. Given the same rng, both start as make_vit's whole model.
template <std::floating_point T>
Tail<T> make_tail(const VitConfig& config, Index cut, const Rng& rng) {
  Tail<T> tail{config, cut};
  initialise<T>(tail, rng);
  return tail;
}

/// The whole model, uncut.
template <std::floating_point T>
Vit<T> make_vit(const VitConfig& config, const Rng& rng) {
  Vit<T> vit{config};
  initialise<T>(vit, rng);
  return vit;
}

}  // namespace splitvit::nn
