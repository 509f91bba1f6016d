// SPDX-License-Identifier: MIT
#include <string>

#include <splitvit/nn/cut.hpp>
#include <splitvit/nn/weight_names.hpp>

#include "support/catch.hpp"

using namespace splitvit;
using nn::WeightUse;

TEST_CASE("weight_name: timm's names are their own", "[nn]") {
  const nn::Vit<float> vit{{.image = 8, .patch = 4, .dim = 8, .heads = 2, .depth = 12}};
  for (const auto& [name, parameter] : nn::parameters<float>(vit)) {
    CAPTURE(name);
    CHECK(nn::weight_name(name).name == name);
    CHECK(nn::weight_name(name).use == WeightUse::parameter);
  }
  for (const std::string name : {"encoder.0.weight", "encoder.1.bias", "decoder.12.weight"}) {
    CHECK(nn::weight_name(name).name == name);
    CHECK(nn::weight_name(name).use == WeightUse::parameter);
  }
}

TEST_CASE("weight_name: names of other libraries", "[nn]") {
  struct Case {
    std::string from, to;
    WeightUse use = WeightUse::parameter;
  };
  const Case one = GENERATE(values<Case>({
      // Hugging Face
      {"embeddings.cls_token", "cls_token"},
      {"embeddings.position_embeddings", "pos_embed"},
      {"embeddings.patch_embeddings.projection.weight", "patch_embed.proj.weight"},
      {"encoder.layer.11.layernorm_before.bias", "blocks.11.norm1.bias"},
      {"encoder.layer.0.layernorm_after.weight", "blocks.0.norm2.weight"},
      {"encoder.layer.3.attention.attention.query.weight", "blocks.3.attn.qkv.weight",
       WeightUse::query},
      {"encoder.layer.3.attention.attention.key.bias", "blocks.3.attn.qkv.bias", WeightUse::key},
      {"encoder.layer.3.attention.attention.value.bias", "blocks.3.attn.qkv.bias",
       WeightUse::value},
      {"encoder.layer.3.attention.output.dense.weight", "blocks.3.attn.proj.weight"},
      {"encoder.layer.3.intermediate.dense.weight", "blocks.3.mlp.fc1.weight"},
      {"encoder.layer.3.output.dense.bias", "blocks.3.mlp.fc2.bias"},
      {"layernorm.weight", "norm.weight"},
      {"classifier.bias", "head.bias"},
      {"cls_classifier.bias", "head.bias"},
      {"encoder.layer.2.norm1.weight", "blocks.2.norm1.weight"},  // DINOv2
      {"encoder.layer.2.mlp.fc1.weight", "blocks.2.mlp.fc1.weight"},
      {"encoder.layer.2.layer_scale1.lambda1", "blocks.2.attn.proj", WeightUse::scale},
      {"encoder.layer.2.layer_scale2.lambda1", "blocks.2.mlp.fc2", WeightUse::scale},
      {"embeddings.register_tokens", "", WeightUse::extra_token},
      {"embeddings.distillation_token", "", WeightUse::extra_token},
      {"embeddings.mask_token", "", WeightUse::unneeded},
      {"pooler.dense.weight", "", WeightUse::unneeded},
      // torchvision
      {"class_token", "cls_token"},
      {"encoder.pos_embedding", "pos_embed"},
      {"conv_proj.bias", "patch_embed.proj.bias"},
      {"encoder.layers.encoder_layer_10.ln_1.weight", "blocks.10.norm1.weight"},
      {"encoder.layers.encoder_layer_1.self_attention.in_proj_weight", "blocks.1.attn.qkv.weight"},
      {"encoder.layers.encoder_layer_1.self_attention.in_proj_bias", "blocks.1.attn.qkv.bias"},
      {"encoder.layers.encoder_layer_1.self_attention.out_proj.bias", "blocks.1.attn.proj.bias"},
      {"encoder.layers.encoder_layer_1.mlp.0.weight", "blocks.1.mlp.fc1.weight"},
      {"encoder.layers.encoder_layer_1.mlp.linear_2.bias", "blocks.1.mlp.fc2.bias"},
      {"encoder.ln.weight", "norm.weight"},
      {"heads.head.weight", "head.weight"},
      {"heads.pre_logits.weight", "", WeightUse::of_classifier},
      // timm, DINOv2, DeiT III, masked autoencoders
      {"blocks.4.ls1.gamma", "blocks.4.attn.proj", WeightUse::scale},
      {"blocks.4.gamma_2", "blocks.4.mlp.fc2", WeightUse::scale},
      {"blocks.1.4.attn.proj.weight", "blocks.4.attn.proj.weight"},
      {"reg_token", "", WeightUse::extra_token},
      {"dist_token", "", WeightUse::extra_token},
      {"head_dist.weight", "", WeightUse::unneeded},
      {"fc_norm.weight", "", WeightUse::averages},
      {"pre_logits.fc.bias", "", WeightUse::of_classifier},
      {"decoder_blocks.0.norm1.weight", "", WeightUse::unneeded},
      {"head.last_layer.weight_g", "", WeightUse::unneeded},
      // what would change the result is not known
      {"norm_pre.weight", "", WeightUse::unknown},
      {"blocks.0.attn.q_norm.weight", "", WeightUse::unknown},
      {"blocks.0.attn.relative_position_bias_table", "", WeightUse::unknown},
      {"blocks.0", "", WeightUse::unknown},
      {"blocks.x.norm1.weight", "", WeightUse::unknown},
      {"blocks.0.mlp.w12.weight", "", WeightUse::unknown},
      {"blocks.99999999999999999999.norm1.weight", "", WeightUse::unknown},
      {"", "", WeightUse::unknown},
      {".weight", "", WeightUse::unknown},
      {"weight", "", WeightUse::unknown},
  }));
  CAPTURE(one.from);
  const nn::WeightName found = nn::weight_name(one.from);
  CHECK(found.use == one.use);
  if (!one.to.empty()) CHECK(found.name == one.to);
}
