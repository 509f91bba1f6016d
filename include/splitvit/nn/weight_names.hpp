// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // find, min

#include <splitvit/core/std.hpp>

// The names that libraries give to the weights of a ViT.

namespace splitvit::inline SPLITVIT_BUILD::nn {

/// What a tensor of a file is to a ViT of timm's.
enum class WeightUse : std::uint8_t {
  parameter,      ///< the parameter of that name
  query,          ///< the first third of it, queries; name is attn.qkv's
  key,            ///< the second third
  value,          ///< the last third
  scale,          ///< LayerScale: a factor for each output of the layer of that name
  extra_token,    ///< a token between CLS and the patches
  averages,       ///< of a classifier that averages tokens instead of reading CLS
  of_classifier,  ///< of a classifier that has more layers
  unneeded,       ///< of another part, or of training only
  unknown,
};

struct WeightName {
  std::string name = {};  ///< timm's
  WeightUse use = WeightUse::unknown;
};

namespace detail {
struct KnownWeight {
  std::string_view known;  ///< without ".weight" and ".bias"
  std::string_view name;
  WeightUse use = WeightUse::parameter;
};

/// Outside of blocks.
inline std::span<const KnownWeight> outer_names() {
  using enum WeightUse;
  static constexpr auto table = std::to_array<KnownWeight>({
      {"cls_token", "cls_token"},
      {"embeddings.cls_token", "cls_token"},
      {"class_token", "cls_token"},
      {"pos_embed", "pos_embed"},
      {"embeddings.position_embeddings", "pos_embed"},
      {"encoder.pos_embedding", "pos_embed"},
      {"patch_embed.proj", "patch_embed.proj"},
      {"embeddings.patch_embeddings.projection", "patch_embed.proj"},
      {"conv_proj", "patch_embed.proj"},
      {"norm", "norm"},
      {"layernorm", "norm"},
      {"encoder.ln", "norm"},
      {"head", "head"},
      {"classifier", "head"},
      {"cls_classifier", "head"},
      {"heads.head", "head"},
      {"fc", "head"},
      {"dist_token", "", extra_token},
      {"embeddings.distillation_token", "", extra_token},
      {"reg_token", "", extra_token},
      {"register_tokens", "", extra_token},
      {"embeddings.register_tokens", "", extra_token},
      {"fc_norm", "", averages},
      {"pre_logits.fc", "", of_classifier},
      {"heads.pre_logits", "", of_classifier},
      {"head_dist", "", unneeded},
      {"distillation_classifier", "", unneeded},
      {"mask_token", "", unneeded},
      {"embeddings.mask_token", "", unneeded},
      {"pooler.dense", "", unneeded},
  });
  return table;
}
/// In a block.
inline std::span<const KnownWeight> inner_names() {
  using enum WeightUse;
  static constexpr auto table = std::to_array<KnownWeight>({
      {"norm1", "norm1"},
      {"layernorm_before", "norm1"},
      {"ln_1", "norm1"},
      {"norm2", "norm2"},
      {"layernorm_after", "norm2"},
      {"ln_2", "norm2"},
      {"attn.qkv", "attn.qkv"},
      {"self_attention.in_proj", "attn.qkv"},
      {"attention.attention.query", "attn.qkv", query},
      {"attention.attention.key", "attn.qkv", key},
      {"attention.attention.value", "attn.qkv", value},
      {"attn.proj", "attn.proj"},
      {"attention.output.dense", "attn.proj"},
      {"self_attention.out_proj", "attn.proj"},
      {"mlp.fc1", "mlp.fc1"},
      {"intermediate.dense", "mlp.fc1"},
      {"mlp.0", "mlp.fc1"},
      {"mlp.linear_1", "mlp.fc1"},
      {"mlp.fc2", "mlp.fc2"},
      {"output.dense", "mlp.fc2"},
      {"mlp.3", "mlp.fc2"},
      {"mlp.linear_2", "mlp.fc2"},
      {"ls1.gamma", "attn.proj", scale},
      {"gamma_1", "attn.proj", scale},
      {"layer_scale1.lambda1", "attn.proj", scale},
      {"ls2.gamma", "mlp.fc2", scale},
      {"gamma_2", "mlp.fc2", scale},
      {"layer_scale2.lambda1", "mlp.fc2", scale},
  });
  return table;
}
/// Begins of names that a ViT does not need: decoders and projections of self-supervised training.
inline constexpr std::array<std::string_view, 6> unneeded_begins{
    "decoder_", "decoder.decoder_", "decoder.mask_token",
    "head.mlp", "head.last_layer",  "dino_head."};

/// Takes a begin from a text. Returns whether it was there.
inline bool take(std::string_view& text, std::string_view begin) {
  if (!text.starts_with(begin)) return false;
  text.remove_prefix(begin.size());
  return true;
}
/// Takes a number and the point behind it; empty if there is none.
inline std::string_view take_number(std::string_view& text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0 || digits > 6 || digits == text.size() || text[digits] != '.') return {};
  const std::string_view number = text.substr(0, digits);
  text.remove_prefix(digits + 1);
  return number;
}
/// Looks up a name with or without the end ".weight" or ".bias", which it gets again.
inline WeightName look_up(std::span<const KnownWeight> table, std::string_view text,
                          const std::string& before) {
  const auto find = [&](std::string_view known) {
    return std::ranges::find(table, known, &KnownWeight::known);
  };
  if (const auto whole = find(text); whole != table.end())
    return {before + std::string{whole->name}, whole->use};
  for (const std::string end : {"weight", "bias"}) {
    if (!text.ends_with(end) || text.size() < end.size() + 2) continue;
    const std::size_t point = text.size() - end.size() - 1;  // or _, as in in_proj_weight
    const auto layer = find(text.substr(0, point));
    if (layer != table.end() && (text[point] == '.' || text[point] == '_'))
      return {before + std::string{layer->name} + "." + end, layer->use};
  }
  return {};
}
}  // namespace detail

/// The meaning of a name without its prefix: as timm, DINO, DINOv2 and DeiT III write it, Hugging
/// Face's ViT, DeiT and DINOv2, torchvision, and this library for encoder and decoder of a
/// bottleneck.
inline WeightName weight_name(std::string_view text) {
  using detail::take, detail::take_number;
  std::string_view rest = text;
  const bool block = take(rest, "blocks.") || take(rest, "encoder.layer.") ||
                     take(rest, "encoder.layers.encoder_layer_");
  if (block) {
    std::string_view number = take_number(rest);
    const std::string_view in_chunk = take_number(rest);  // DINOv2's blocks in chunks
    if (!in_chunk.empty()) number = in_chunk;
    return number.empty() ? WeightName{}
                          : detail::look_up(detail::inner_names(), rest,
                                            "blocks." + std::string{number} + ".");
  }
  if ((take(rest, "encoder.") || take(rest, "decoder.")) && !take_number(rest).empty())
    return {std::string{text}, WeightUse::parameter};
  for (const std::string_view begin : detail::unneeded_begins)
    if (text.starts_with(begin)) return {"", WeightUse::unneeded};
  return detail::look_up(detail::outer_names(), text, "");
}

}  // namespace splitvit::inline SPLITVIT_BUILD::nn
