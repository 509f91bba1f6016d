// SPDX-License-Identifier: MIT
#pragma once

#include <iterator>  // ssize

#include <splitvit/autograd/ops/patch_embed.hpp>  // patch_embed
#include <splitvit/autograd/ops/tokens.hpp>       // cls_token, with_cls_token
#include <splitvit/core/text.hpp>                 // counted
#include <splitvit/kernel/compute.hpp>            // Compute, with_stored
#include <splitvit/nn/block.hpp>                  // Block, LayerNorm
#include <splitvit/nn/concepts.hpp>               // nested
#include <splitvit/nn/token_statistics.hpp>       // TokenStatistics

namespace splitvit::inline SPLITVIT_BUILD::nn {

/// The size of a ViT; the defaults are deit_tiny.
struct VitConfig {
  Index image = 224;  ///< pixels on each side
  Index patch = 16;   ///< pixels on each side; divides image
  Index channels = 3;
  Index dim = 192;  ///< width of a token
  Index heads = 3;  ///< divides dim
  Index depth = 12;
  Index classes = 1000;
  Index mlp_ratio = 4;  ///< hidden width of the MLP over dim

  Index patches() const { return (image / patch) * (image / patch); }
  Index tokens() const { return 1 + patches(); }
};

/// Errors  std::invalid_argument for sizes that make no model.
inline void require_valid(const VitConfig& c) {
  const auto fail = [](TextParts what) { throw ArgumentError({"VitConfig: ", joined(what)}); };
  for (const Index size :
       {c.image, c.patch, c.channels, c.dim, c.heads, c.depth, c.classes, c.mlp_ratio})
    if (size < 1) fail({"every size must be at least 1"});
  if (c.image % c.patch != 0) fail({"image ", c.image, " is no multiple of patch ", c.patch});
  if (c.dim % c.heads != 0) fail({"dim ", c.dim, " is no multiple of heads ", c.heads});
}

struct NamedVit {
  std::string_view name;
  VitConfig config;
};

/// The sizes of DeiT, and small ones for images of 32 pixels.
inline constexpr std::array<NamedVit, 6> named_vits{{
    {"deit_tiny", {.image = 224, .patch = 16, .dim = 192, .heads = 3, .depth = 12}},
    {"deit_small", {.image = 224, .patch = 16, .dim = 384, .heads = 6, .depth = 12}},
    {"deit_base", {.image = 224, .patch = 16, .dim = 768, .heads = 12, .depth = 12}},
    {"vit_micro", {.image = 32, .patch = 8, .dim = 64, .heads = 4, .depth = 4, .classes = 10}},
    {"vit_mini", {.image = 32, .patch = 4, .dim = 96, .heads = 3, .depth = 6, .classes = 10}},
    {"vit_cifar", {.image = 32, .patch = 4, .dim = 192, .heads = 3, .depth = 6, .classes = 10}},
}};

/// Errors  std::invalid_argument, listing the names, for an unknown name.
inline VitConfig vit_named(std::string_view name) {
  std::string known;
  for (const NamedVit& vit : named_vits) {
    if (vit.name == name) return vit.config;
    known += (known.empty() ? "" : ", ") + std::string{vit.name};
  }
  throw ArgumentError({"vit_named: no model is called '", name, "'; there are ", known});
}

/// Shapes  images (B, channels, H, W) -> (B, patches, width).
template <std::floating_point T>
struct PatchEmbed {
  Variable<T> weight;                                         ///< (width, channels, patch, patch)
  Variable<T> bias;                                           ///< (width)
  decltype(&patch_embed<T, T>) product = &patch_embed<T, T>;  ///< see Linear

  PatchEmbed(Index channels, Index patch, Index width)
      : weight{Variable<T>::parameter(Tensor<T>{Shape{width, channels, patch, patch}})},
        bias{Variable<T>::parameter(Tensor<T>{Shape{width}})} {}

  Variable<T> operator()(const Variable<T>& images) const { return product(images, weight, bias); }

  /// As Block::use.
  void use(Compute compute) {
    kernel::with_stored<T>(compute, [this]<class Stored>() { product = &patch_embed<T, Stored>; });
  }

  void each_parameter(auto&& see) const {
    see("proj.weight", weight);
    see("proj.bias", bias);
  }
};

/// The layers before the first block: patches, the class token in front of them, positions.
/// Shapes  images (B, channels, H, W) -> (B, 1 + patches, width).
template <std::floating_point T>
struct Stem {
  Variable<T> cls_token;  ///< (1, 1, width)
  Variable<T> pos_embed;  ///< (1, 1 + patches, width)
  PatchEmbed<T> patch_embed;

  Stem(Index channels, Index patch, Index patches, Index width)
      : cls_token{Variable<T>::parameter(Tensor<T>{Shape{1, 1, width}})},
        pos_embed{Variable<T>::parameter(Tensor<T>{Shape{1, 1 + patches, width}})},
        patch_embed{channels, patch, width} {}

  Variable<T> operator()(const Variable<T>& images) const {
    return with_cls_token(patch_embed(images), cls_token, pos_embed);
  }

  void each_parameter(auto&& see) const {
    see("cls_token", cls_token);
    see("pos_embed", pos_embed);
    nested("patch_embed.", patch_embed, see);
  }
};

/// Blocks first..last-1 of a model; their parameters have the numbers of the whole model.
template <std::floating_point T>
struct Blocks {
  std::vector<Block<T>> blocks;
  Index first = 0;

  Blocks(const VitConfig& c, Index first_, Index last);

  /// The first `count` blocks recompute activations in the backward pass, the others store them. A
  /// block that recomputes needs a ninth of the memory and a seventh more time. A last block that
  /// computes CLS only always stores.
  /// Errors  std::invalid_argument unless count is from 0 to the number of blocks.
  void recompute(Index count) {
    if (count < 0 || count > std::ssize(blocks))
      throw ArgumentError(
          {"recompute: ", counted(count, "block"), ", wanted 0 to ", blocks.size()});
    for (Block<T>& block : blocks)
      block.checkpointing = count-- > 0 ? Checkpointing::recompute : Checkpointing::store;
  }

  /// How all products are computed. Errors  std::invalid_argument if this build cannot.
  void use(Compute compute) {
    for (Block<T>& block : blocks) block.use(compute);
  }

  /// Computes all tokens, and the attention of CLS in the last block. `statistics`, unless null, is
  /// updated with each block that it requires, whose queries, keys and values are computed twice.
  /// Shapes  x (B, N, dim), bias of the attention scores (B, N) or empty -> y (B, N, dim).
  AttentionOutput<T> operator()(Variable<T> x, NeedWeights need_weights = NeedWeights::none,
                                TokenStatistics<T>* statistics = nullptr,
                                const Tensor<T>& bias = {}) const;

  /// Computes the CLS token only. The last block then skips the other tokens.
  /// Shapes  x (B, N, dim), bias of the attention scores (B, N) or empty -> (B, dim).
  Variable<T> cls(Variable<T> x, const Tensor<T>& bias = {}) const;

  void each_parameter(auto&& see) const {
    Index number = first;
    for (const Block<T>& block : blocks)
      nested("blocks." + std::to_string(number++) + ".", block, see);
  }
};

/// The layers after the last block: class scores from the CLS token.
/// Shapes  cls (B, dim) -> logits (B, classes).
template <std::floating_point T>
struct Classifier {
  LayerNorm<T> norm;
  Linear<T> head;

  explicit Classifier(const VitConfig& c) : norm{c.dim}, head{c.dim, c.classes} {}

  Variable<T> operator()(const Variable<T>& cls) const { return head(norm(cls)); }

  void each_parameter(auto&& see) const {
    nested("norm.", norm, see);
    nested("head.", head, see);
  }
};

/// The whole model.
/// Shapes  images (B, channels, image, image) -> logits (B, classes).
template <std::floating_point T>
struct Vit {
  VitConfig config;
  Stem<T> stem;
  Blocks<T> blocks;
  Classifier<T> classifier;

  /// Parameters zero, norms one; see make_vit in cut.hpp. Errors  as require_valid.
  explicit Vit(const VitConfig& c);

  Variable<T> operator()(const Variable<T>& images) const {
    return classifier(blocks.cls(stem(images)));
  }

  /// How the products of all layers but the classifier are computed.
  /// Errors  std::invalid_argument if this build cannot.
  void use(Compute compute) {
    blocks.use(compute);
    stem.patch_embed.use(compute);
  }

  void each_parameter(auto&& see) const {
    stem.each_parameter(see);
    blocks.each_parameter(see);
    classifier.each_parameter(see);
  }
};

template <std::floating_point T>
Blocks<T>::Blocks(const VitConfig& c, Index first_, Index last) : first{first_} {
  for (Index i = first; i < last; ++i) blocks.emplace_back(c.dim, c.heads, c.mlp_ratio * c.dim);
}

template <std::floating_point T>
AttentionOutput<T> Blocks<T>::operator()(Variable<T> x, NeedWeights need_weights,
                                         TokenStatistics<T>* statistics,
                                         const Tensor<T>& bias) const {
  AttentionOutput<T> out{std::move(x), {}};
  for (const Block<T>& block : blocks) {
    const bool last = &block == &blocks.back();
    if (statistics != nullptr && statistics->required(last))
      statistics->update(block.attn.qkv(block.norm1(out.y)).value(), bias);
    out = block(out.y, last ? need_weights : NeedWeights::none, bias);
  }
  return out;
}

template <std::floating_point T>
Variable<T> Blocks<T>::cls(Variable<T> x, const Tensor<T>& bias) const {
  if (blocks.empty()) return cls_token(x);
  for (const Block<T>& block : blocks)
    x = &block == &blocks.back() ? block.cls(x, bias) : block(x, NeedWeights::none, bias).y;
  return x;
}

template <std::floating_point T>
Vit<T>::Vit(const VitConfig& c)
    : config{(require_valid(c), c)},
      stem{c.channels, c.patch, c.patches(), c.dim},
      blocks{c, 0, c.depth},
      classifier{c} {}

SPLITVIT_ONCE(struct Vit<float>);
SPLITVIT_ONCE(struct Blocks<float>);

}  // namespace splitvit::inline SPLITVIT_BUILD::nn
