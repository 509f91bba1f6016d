// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point

#include <splitvit/autograd/ops/patch_embed.hpp>  // patch_embed
#include <splitvit/autograd/ops/tokens.hpp>       // with_cls_token
#include <splitvit/nn/concepts.hpp>               // nested

// PatchEmbed and Stem: from images to tokens.

namespace splitvit::nn {

/// Shapes  images (B, channels, H, W) -> (B, patches, width).
template <std::floating_point T>
struct PatchEmbed {
  Variable<T> weight;  ///< (width, channels, patch, patch)
  Variable<T> bias;    ///< (width)

  PatchEmbed(Index channels, Index patch, Index width)
      : weight{Variable<T>::parameter(Tensor<T>{Shape{width, channels, patch, patch}})},
        bias{Variable<T>::parameter(Tensor<T>{Shape{width}})} {}

  Variable<T> operator()(const Variable<T>& images) const {
    return patch_embed(images, weight, bias);
  }

  void each_parameter(auto&& see) const {
    see("proj.weight", weight);
    see("proj.bias", bias);
  }
};

/// The layers before the first block: patches, the class token in front of them, positions.
///
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

}  // namespace splitvit::nn
