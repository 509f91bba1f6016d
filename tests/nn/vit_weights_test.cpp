// SPDX-License-Identifier: MIT
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <splitvit/nn/vit_weights.hpp>
#include <splitvit/nn/weights.hpp>

#include "nn/named_weights.hpp"
#include "support/catch.hpp"
#include "support/storage_error.hpp"

using namespace splitvit;
using test::named_vit;
using test::NamedWeights;

namespace {

nn::Vit<float> model() { return nn::make_vit<float>(named_vit, Rng{.seed = 1}); }
Tensor<float> filled(const Shape& shape, float value) { return Tensor<float>::full(shape, value); }

/// The file as bytes with timm's names.
std::vector<std::byte> as_timm(const nn::VitWeights& file) {
  std::vector<std::pair<std::string, Tensor<float>>> values;
  for (const std::string& name : file.names()) values.emplace_back(name, file.get<float>(name));
  std::vector<io::NamedTensor> named;
  for (const auto& [name, value] : values) named.emplace_back(name, value);
  return io::format_safetensors(named);
}
std::vector<std::byte> as_timm(const nn::Vit<float>& vit) {
  return io::format_safetensors(nn::weights_of<float>(vit));
}

std::string names_complaint(const NamedWeights& weights) {
  const auto said = support::complaint_of([&] { nn::VitWeights{weights.file()}; });
  if (!said) return "accepted";
  CHECK(said->reason == Reason::wrong_content);
  return said->text;
}

bool has_note(const nn::VitWeights& file, const std::string& note) {
  return std::ranges::find(file.notes(), note) != file.notes().end();
}

}  // namespace

TEST_CASE("VitWeights: names of three libraries, behind any prefix, give the same model", "[nn]") {
  const auto vit = model();
  using Write = std::function<NamedWeights(const nn::Vit<float>&)>;
  const auto [write, note] = GENERATE(values<std::pair<Write, std::string>>(
      {{test::weights_of_timm, ""},
       {test::weights_of_hugging_face, "Hugging Face's names"},
       {test::weights_of_torchvision, "torchvision's names"}}));
  const std::string prefix =
      GENERATE(values<std::string>({"", "module.", "_orig_mod.module.", "model.", "backbone.",
                                    "state_dict.net.encoder.", "vit."}));
  CAPTURE(note, prefix);
  NamedWeights weights = write(vit);
  for (auto& one : weights.all) one.first = prefix + one.first;
  const nn::VitWeights file{weights.file()};
  CHECK(as_timm(file) == as_timm(vit));
  CHECK(file.dropped().empty());
  CHECK((note.empty() || has_note(file, note)));
  CHECK(has_note(file, "prefix '" + prefix + "' removed") ==
        (!prefix.empty() && note != "Hugging Face's names"));
}

TEST_CASE("VitWeights: a classifier beside the backbone, and parts that no ViT needs", "[nn]") {
  const auto vit = model();
  NamedWeights weights = test::weights_of_timm(vit);
  for (auto& [name, value] : weights.all)
    name = name.starts_with("head.") ? "model." + name : "model.backbone." + name;
  weights.add("model.text.token_embedding.weight", filled({4, 8}, 1));
  weights.add("loss.weight", filled({5}, 1));
  const nn::VitWeights file{weights.file()};
  CHECK(as_timm(file) == as_timm(vit));
  CHECK(file.dropped() ==
        std::vector<std::string>{"loss.weight", "model.text.token_embedding.weight"});
  CHECK(has_note(file, "prefix 'model.backbone.' removed"));
}

TEST_CASE("VitWeights: numbers of 16 and 64 bits", "[nn]") {
  const auto vit = nn::make_vit<double>(named_vit, Rng{.seed = 1});
  const auto bytes = io::format_safetensors(nn::weights_of<double>(vit));
  const nn::VitWeights file{io::parse_safetensors(bytes, "file")};
  CHECK(as_timm(file) == as_timm(model()));
}

TEST_CASE("VitWeights: LayerScale is multiplied into the layer before it", "[nn]") {
  const auto vit = model();
  const bool hugging_face = GENERATE(false, true);
  NamedWeights weights =
      hugging_face ? test::weights_of_hugging_face(vit) : test::weights_of_timm(vit);
  const std::string block = hugging_face ? "vit.encoder.layer.1." : "blocks.1.";
  Tensor<float> gamma{Shape{8}};
  for (Index i = 0; i < 8; ++i) gamma[i] = 0.1f * static_cast<float>(i + 1);
  weights.add(block + (hugging_face ? "layer_scale1.lambda1" : "ls1.gamma"), gamma);
  weights.add(block + (hugging_face ? "layer_scale2.lambda1" : "gamma_2"), gamma);
  const nn::VitWeights file{weights.file()};
  CHECK(has_note(file, "LayerScale multiplied into 2 layers"));
  for (const std::string layer : {"attn.proj.", "mlp.fc2."}) {
    const auto before = *test::weights_of_timm(vit).find("blocks.1." + layer + "weight");
    const auto after = file.get<float>("blocks.1." + layer + "weight");
    for (Index i = 0; i < after.size(); ++i)
      CHECK(after[i] == Approx(before[i] * gamma[i / after.dim(1)]).margin(1e-9));
    const auto bias = file.get<float>("blocks.1." + layer + "bias");
    const auto old = *test::weights_of_timm(vit).find("blocks.1." + layer + "bias");
    for (Index i = 0; i < bias.size(); ++i) CHECK(bias[i] == Approx(old[i] * gamma[i]));
  }
  *weights.find(block + (hugging_face ? "layer_scale1.lambda1" : "ls1.gamma")) = filled({7}, 1);
  CHECK_THAT(names_complaint(weights),
             ContainsSubstring("(7) does not fit blocks.1.attn.proj.weight"));
}

TEST_CASE("VitWeights: tokens beside CLS are left out with their positions", "[nn]") {
  const auto vit = model();
  struct Case {
    std::string token;
    Index count;
    bool with_positions;
  };
  const Case one = GENERATE(values<Case>(
      {{"dist_token", 1, true}, {"reg_token", 3, true}, {"register_tokens", 3, false}}));
  CAPTURE(one.token, one.with_positions);
  NamedWeights weights = test::weights_of_timm(vit);
  weights.add(one.token, filled({1, one.count, 8}, 9));
  if (one.token == "dist_token") weights.add("head_dist.weight", filled({5, 8}, 9));
  if (one.with_positions) {
    Tensor<float>& positions = *weights.find("pos_embed");
    Tensor<float> more = filled({1, 5 + one.count, 8}, 9);
    std::copy_n(positions.data(), 8, more.data());
    std::copy_n(positions.data() + 8, 4 * 8, more.data() + 8 * (1 + one.count));
    positions = more;
  }
  const nn::VitWeights file{weights.file()};
  CHECK(as_timm(file) == as_timm(vit));
  CHECK(std::ranges::find(file.dropped(), one.token) != file.dropped().end());
  CHECK(file.dropped().size() == (one.token == "dist_token" ? 2 : 1));
  CHECK(has_note(file, "without its further tokens the model gives other results"));
}

TEST_CASE("VitWeights: what is absent because it is zero becomes zeros", "[nn]") {
  auto vit = model();
  NamedWeights weights = test::weights_of_timm(vit);
  std::erase_if(weights.all, [](const auto& one) { return one.first.ends_with("attn.qkv.bias"); });
  Tensor<float>& positions = *weights.find("pos_embed");
  const auto patches = positions.view().slice(0, 1).span().subspan(8);
  positions = Tensor<float>{Shape{1, 4, 8}, patches};
  const nn::VitWeights file{weights.file()};
  CHECK(has_note(file, "no bias of queries, keys and values: zeros"));
  CHECK(has_note(file, "no position of CLS: zeros"));
  const auto bias = file.get<float>("blocks.1.attn.qkv.bias");
  for (const float value : bias.span()) CHECK(value == 0);
  const auto with_cls = file.get<float>("pos_embed");
  REQUIRE(with_cls.shape() == Shape{1, 5, 8});
  for (Index i = 0; i < 40; ++i) CHECK(with_cls[i] == (i < 8 ? 0 : vit.stem.pos_embed.value()[i]));
  // One of two is no model without biases, but a file without a tensor.
  weights.add("blocks.0.attn.qkv.bias", filled({24}, 0));
  CHECK_FALSE(nn::VitWeights{weights.file()}.contains("blocks.1.attn.qkv.bias"));
}

TEST_CASE("VitWeights: a classifier of another kind is left out as a whole", "[nn]") {
  NamedWeights weights = test::weights_of_timm(model());
  std::string wanted;
  SECTION("averages") {
    wanted = "the file's averages tokens";
    weights.replace("norm.weight", "fc_norm.weight").replace("norm.bias", "fc_norm.bias");
  }
  SECTION("layers") {
    wanted = "the file's has several layers";
    weights.add("pre_logits.fc.weight", filled({8, 8}, 1));
  }
  SECTION("CLS and average") {
    wanted = "the file's reads 16 numbers";
    *weights.find("head.weight") = filled({5, 16}, 1);
  }
  const nn::VitWeights file{weights.file()};
  CHECK(file.classifier_fault() == wanted);
  CHECK_FALSE(file.contains("head.weight"));
  CHECK_FALSE(file.contains("head.bias"));
  CHECK(std::ranges::find(file.dropped(), "head.bias") != file.dropped().end());
}

TEST_CASE("VitWeights: what is not clear is refused by name", "[nn]") {
  NamedWeights weights = test::weights_of_hugging_face(model());
  SECTION("several models") {
    for (std::size_t i = weights.all.size(); i-- > 0;)
      weights.add("teacher." + weights.all[i].first, weights.all[i].second);
    CHECK_THAT(names_complaint(weights),
               ContainsSubstring("'teacher.vit., vit.'; wanted a file with one"));
  }
  SECTION("a third of three") {
    weights.erase("vit.encoder.layer.1.attention.attention.key.weight");
    CHECK_THAT(names_complaint(weights),
               ContainsSubstring("blocks.1.attn.qkv.weight: queries, keys or"));
  }
  SECTION("thirds that differ") {
    *weights.find("vit.encoder.layer.1.attention.attention.key.weight") = filled({8, 9}, 1);
    CHECK_THAT(names_complaint(weights), ContainsSubstring("key.weight (8, 9) does not fit"));
  }
  SECTION("twice") {
    weights.add("vit.classifier.weight", filled({5, 8}, 1));
    CHECK_THAT(names_complaint(weights), ContainsSubstring("two tensors are head.weight"));
  }
  SECTION("unknown") {
    weights.add("vit.encoder.layer.0.attention.rope.freqs", filled({5, 8}, 1));
    const nn::VitWeights file{weights.file()};
    CHECK(file.contains("vit.encoder.layer.0.attention.rope.freqs"));
    const auto vit = model();
    CHECK_THROWS_WITH(nn::load_weights<float>(vit, named_vit, file),
                      ContainsSubstring("unexpected: vit.encoder.layer.0.attention.rope.freqs"));
  }
}

TEST_CASE("sizes_of: what the shapes tell", "[nn]") {
  const nn::VitConfig sizes = nn::sizes_of(test::weights_of_torchvision(model()).file());
  CHECK(sizes.image == 8);
  CHECK(sizes.patch == 4);
  CHECK(sizes.channels == 3);
  CHECK(sizes.dim == 8);
  CHECK(sizes.depth == 2);
  CHECK(sizes.classes == 5);
  CHECK(sizes.mlp_ratio == 4);
  CHECK(sizes.heads == 0);
  NamedWeights weights = test::weights_of_timm(model());
  weights.erase("head.");
  CHECK(nn::sizes_of(weights.file()).classes == 0);
  *weights.find("pos_embed") = filled({1, 7, 8}, 0);
  CHECK_THROWS_WITH(nn::sizes_of(weights.file()),
                    "file: pos_embed (1, 7, 8), wanted CLS and the patches of a square image");
  weights.erase("patch_embed.");
  CHECK_THROWS_WITH(nn::sizes_of(weights.file()),
                    "file: no weights of a ViT; there is no patch_embed.proj.weight");
}
