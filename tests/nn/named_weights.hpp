// SPDX-License-Identifier: MIT
#pragma once

#include <string>   // string
#include <utility>  // move, pair
#include <vector>   // vector

#include <splitvit/io/safetensors.hpp>
#include <splitvit/nn/cut.hpp>

// The weights of a small ViT as files of other libraries hold them.

namespace splitvit::test {

inline constexpr nn::VitConfig named_vit{
    .image = 8, .patch = 4, .channels = 3, .dim = 8, .heads = 2, .depth = 2, .classes = 5};

/// Tensors with names, in order.
struct NamedWeights {
  std::vector<std::pair<std::string, Tensor<float>>> all;

  Tensor<float>* find(const std::string& name) {
    for (auto& [key, value] : all)
      if (key == name) return &value;
    return nullptr;
  }
  void add(std::string name, Tensor<float> value) {
    all.emplace_back(std::move(name), std::move(value));
  }
  void erase(const std::string& begin) {
    std::erase_if(all, [&](const auto& one) { return one.first.starts_with(begin); });
  }
  /// Replaces a part of each name.
  NamedWeights& replace(const std::string& from, const std::string& to) {
    for (auto& one : all)
      if (const std::size_t at = one.first.find(from); at != std::string::npos)
        one.first.replace(at, from.size(), to);
    return *this;
  }
  io::SafeTensors file(const io::Metadata& metadata = {{"format", "pt"}}) const {
    std::vector<io::NamedTensor> named;
    for (const auto& [name, value] : all) named.emplace_back(name, value);
    return io::parse_safetensors(io::format_safetensors(named, metadata), "file");
  }
};

/// Under timm's names.
inline NamedWeights weights_of_timm(const nn::Vit<float>& vit) {
  NamedWeights out;
  for (const auto& [name, parameter] : nn::parameters<float>(vit)) out.add(name, parameter.value());
  return out;
}

/// As Hugging Face's ViT: queries, keys and values apart.
inline NamedWeights weights_of_hugging_face(const nn::Vit<float>& vit) {
  NamedWeights out;
  for (auto& [name, value] : weights_of_timm(vit).all) {
    const std::size_t qkv = name.find("attn.qkv.");
    if (qkv == std::string::npos) {
      out.add(name, value);
      continue;
    }
    const Index rows = value.dim(0) / 3;
    const char* const parts[] = {"query.", "key.", "value."};
    for (Index i = 0; i < 3; ++i) {
      const auto third = value.view().slice(i * rows, (i + 1) * rows);
      out.add(name.substr(0, qkv) + "attention.attention." + parts[i] + name.substr(qkv + 9),
              Tensor<float>{third.shape(), third.span()});
    }
  }
  out.replace("blocks.", "encoder.layer.")
      .replace("norm1", "layernorm_before")
      .replace("norm2", "layernorm_after")
      .replace("attn.proj", "attention.output.dense")
      .replace("mlp.fc1", "intermediate.dense")
      .replace("mlp.fc2", "output.dense")
      .replace("patch_embed.proj", "embeddings.patch_embeddings.projection")
      .replace("cls_token", "embeddings.cls_token")
      .replace("pos_embed", "embeddings.position_embeddings")
      .replace("head.", "classifier.");
  for (auto& [name, value] : out.all) {
    if (name.starts_with("norm.")) name = "layer" + name;
    if (!name.starts_with("classifier.")) name = "vit." + name;
  }
  return out;
}

/// As torchvision's.
inline NamedWeights weights_of_torchvision(const nn::Vit<float>& vit) {
  NamedWeights out = weights_of_timm(vit);
  out.replace("blocks.", "encoder.layers.encoder_layer_")
      .replace("norm1", "ln_1")
      .replace("norm2", "ln_2")
      .replace("attn.qkv.", "self_attention.in_proj_")
      .replace("attn.proj", "self_attention.out_proj")
      .replace("fc1", "0")
      .replace("fc2", "3")
      .replace("patch_embed.proj", "conv_proj")
      .replace("cls_token", "class_token")
      .replace("pos_embed", "encoder.pos_embedding")
      .replace("head.", "heads.head.");
  for (auto& one : out.all)
    if (one.first.starts_with("norm.")) one.first.replace(0, 4, "encoder.ln");
  return out;
}

}  // namespace splitvit::test
