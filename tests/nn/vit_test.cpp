// SPDX-License-Identifier: MIT
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/ops/sum.hpp>
#include <splitvit/nn/vit.hpp>

#include "autograd/probe.hpp"
#include "nn/models.hpp"
#include "support/catch.hpp"

namespace splitvit::nn {

TEST_CASE("VitConfig: deit_tiny has timm's parameters, by name, order and shape", "[nn][vit]") {
  const Vit<float> vit{vit_named("deit_tiny")};
  const auto all = parameters<float>(vit);
  REQUIRE(all.size() == 152);
  CHECK(parameter_count<float>(vit) == 5'717'416);

  std::vector<std::pair<std::string, Shape>> wanted{{"cls_token", {1, 1, 192}},
                                                    {"pos_embed", {1, 197, 192}},
                                                    {"patch_embed.proj.weight", {192, 3, 16, 16}},
                                                    {"patch_embed.proj.bias", {192}}};
  for (int i = 0; i < 12; ++i) {
    const std::string block = "blocks." + std::to_string(i) + ".";
    const std::vector<std::pair<std::string, Shape>> inner{
        {"norm1.weight", {192}},          {"norm1.bias", {192}},
        {"attn.qkv.weight", {576, 192}},  {"attn.qkv.bias", {576}},
        {"attn.proj.weight", {192, 192}}, {"attn.proj.bias", {192}},
        {"norm2.weight", {192}},          {"norm2.bias", {192}},
        {"mlp.fc1.weight", {768, 192}},   {"mlp.fc1.bias", {768}},
        {"mlp.fc2.weight", {192, 768}},   {"mlp.fc2.bias", {192}}};
    for (const auto& [name, shape] : inner) wanted.emplace_back(block + name, shape);
  }
  for (const auto& last : {std::pair<std::string, Shape>{"norm.weight", {192}},
                           {"norm.bias", {192}},
                           {"head.weight", {1000, 192}},
                           {"head.bias", {1000}}})
    wanted.push_back(last);
  for (std::size_t i = 0; i < 152; ++i) {
    CHECK(all[i].first == wanted[i].first);
    CHECK(all[i].second.shape() == wanted[i].second);
  }
}

TEST_CASE("VitConfig: sizes by name", "[nn][vit]") {
  CHECK(vit_named("deit_tiny").tokens() == 197);
  CHECK(vit_named("deit_small").dim == 384);
  CHECK(vit_named("deit_base").heads == 12);
  for (const NamedVit& vit : named_vits) CHECK_NOTHROW(require_valid(vit.config));
  const VitConfig defaults;
  CHECK(defaults.patches() == 196);
  CHECK(defaults.classes == 1000);
  const auto text = test::text_of<std::invalid_argument>([] { vit_named("deit_huge"); });
  CHECK_THAT(text, ContainsSubstring("no model is called 'deit_huge'"));
  for (const NamedVit& vit : named_vits) CHECK_THAT(text, ContainsSubstring(std::string{vit.name}));
}

TEST_CASE("VitConfig: sizes that make no model", "[nn][vit]") {
  const auto complaint = [](const VitConfig& c) {
    return test::text_of<std::invalid_argument>([&] { Vit<float>{c}; });
  };
  CHECK(complaint(test::small_vit) == "");
  CHECK(complaint({.image = 30, .patch = 16}) == "VitConfig: image 30 is no multiple of patch 16");
  CHECK(complaint({.dim = 100, .heads = 3}) == "VitConfig: dim 100 is no multiple of heads 3");
  for (const Index bad : {0, -1})
    for (const VitConfig& c :
         {VitConfig{.image = bad}, VitConfig{.patch = bad}, VitConfig{.channels = bad},
          VitConfig{.dim = bad}, VitConfig{.heads = bad}, VitConfig{.depth = bad},
          VitConfig{.classes = bad}, VitConfig{.mlp_ratio = bad}})
      CHECK(complaint(c) == "VitConfig: every size must be at least 1");
}

TEMPLATE_TEST_CASE("Vit: is its parts, one after the other", "[nn][vit]", float, double) {
  using T = TestType;
  Rng rng{.seed = 13};
  const Vit<T> vit{test::small_vit};
  test::draw_parameters<T>(vit, rng);
  const Variable<T> images{test::drawn_images<T>(test::small_vit, 2, rng)};
  auto x = vit.stem(images);
  Tensor<T> last_row;
  for (const Block<T>& block : vit.blocks.blocks) {
    auto out = block(x, NeedWeights::cls);
    x = out.y;
    last_row = std::move(out.cls_attention);
  }
  const auto blocks = vit.blocks(vit.stem(images), NeedWeights::cls);
  CHECK(test::equal_bits(blocks.y.value(), x.value()));
  CHECK(test::equal_bits(blocks.cls_attention, last_row));  // of the last block
  CHECK(vit.blocks(vit.stem(images)).cls_attention.empty());
  const auto logits = vit.classifier.head(cls_token(vit.classifier.norm(x)));
  CHECK(test::apart(vit(images).value(), logits.value()) <= 64 * test::unit<T>);
  CHECK(vit(images).shape() == Shape{2, 5});
}

TEST_CASE("Blocks: as many as are told to recompute, and the same gradients", "[nn][vit]") {
  Vit<float> vit{test::small_vit};
  Rng rng{.seed = 15};
  test::draw_parameters<float>(vit, rng);
  const auto images = test::drawn_images<float>(test::small_vit, 2, rng);
  const auto gradients = [&] {
    backward(sum(vit(Variable<float>{images})));
    std::vector<Tensor<float>> all;
    for (const auto& [name, parameter] : parameters<float>(vit)) {
      all.push_back(parameter.gradient());
      parameter.clear_gradient();
    }
    return all;
  };
  const auto stored = gradients();
  for (const Index count : {1, 3, 0}) {
    vit.blocks.recompute(count);
    for (Index i = 0; const Block<float>& block : vit.blocks.blocks)
      CHECK((block.checkpointing == Checkpointing::recompute) == (i++ < count));
    const auto again = gradients();
    for (std::size_t i = 0; i < stored.size(); ++i) CHECK(test::equal_bits(again[i], stored[i]));
  }
  for (const Index bad : {-1, 4}) {
    const std::string text =
        test::text_of<std::invalid_argument>([&] { vit.blocks.recompute(bad); });
    CHECK(text == "recompute: " + std::to_string(bad) + " blocks, wanted 0 to 3");
  }
}

TEST_CASE("Vit: a sample's scores do not depend on its neighbours", "[nn][vit]") {
  Rng rng{.seed = 14};
  const Vit<float> vit{test::small_vit};
  test::draw_parameters<float>(vit, rng);
  const auto images = test::drawn_images<float>(test::small_vit, 3, rng);
  const auto together = vit(Variable<float>{images}).value();
  for (Index b = 0; b < 3; ++b) {
    const auto one = images.view().slice(b, b + 1);
    const auto alone = vit(Variable<float>{Tensor<float>{one.shape(), one.span()}}).value();
    for (Index c = 0; c < 5; ++c) CHECK(alone[c] == Approx(together[b * 5 + c]).epsilon(1e-5));
  }
}

TEST_CASE("Vit: wrong images are refused", "[nn][vit]") {
  const Vit<float> vit{test::small_vit};
  CHECK_THROWS_AS(vit(Variable<float>{Tensor<float>{{1, 3, 12, 12}}}), ShapeError);
  CHECK_THROWS_AS(vit(Variable<float>{Tensor<float>{{1, 2, 16, 16}}}), ShapeError);
  CHECK(vit(Variable<float>{Tensor<float>{{0, 2, 12, 12}}}).shape() == Shape{0, 5});
}

TEST_CASE("PatchEmbed and Stem: names and shapes", "[nn]") {
  const Stem<float> stem{2, 4, 9, 6};
  CHECK(test::names_of<float>(stem) == std::vector<std::string>{"cls_token", "pos_embed",
                                                                "patch_embed.proj.weight",
                                                                "patch_embed.proj.bias"});
  CHECK(stem.cls_token.shape() == Shape{1, 1, 6});
  CHECK(stem.pos_embed.shape() == Shape{1, 10, 6});
  CHECK(stem.patch_embed.weight.shape() == Shape{6, 2, 4, 4});
  CHECK(stem.patch_embed.bias.shape() == Shape{6});
  CHECK(stem(Variable<float>{Tensor<float>{{3, 2, 12, 12}}}).shape() == Shape{3, 10, 6});
}

TEST_CASE("Stem: the class token in front, then patches, all with positions", "[nn]") {
  Rng rng{.seed = 11};
  const Stem<double> stem{1, 2, 4, 3};
  test::draw_parameters<double>(stem, rng);
  const auto images = test::drawn<double>({2, 1, 4, 4}, rng);
  const Variable<double> v{images};
  const auto embedded = patch_embed(v, stem.patch_embed.weight, stem.patch_embed.bias);
  CHECK(test::equal_bits(stem.patch_embed(v).value(), embedded.value()));
  CHECK(test::equal_bits(stem(v).value(),
                         with_cls_token(embedded, stem.cls_token, stem.pos_embed).value()));
  CHECK(gradcheck([&](const auto& u) { return test::probe(stem(u)); }, images));
}

TEST_CASE("Stem: images of another size are refused", "[nn]") {
  const Stem<float> stem{2, 4, 9, 6};
  const auto of = [&](const Shape& shape) {
    return [&stem, shape] { stem(Variable<float>{Tensor<float>{shape}}); };
  };
  CHECK_THAT(test::text_of<ShapeError>(of({1, 2, 16, 12})),
             ContainsSubstring("x (1, 12, 6)") && ContainsSubstring("positions (1, 10, 6)"));
  CHECK_THAT(test::text_of<ShapeError>(of({1, 3, 12, 12})), ContainsSubstring("(1, 3, 12, 12)"));
  CHECK_THAT(test::text_of<ShapeError>(of({1, 2, 13, 12})), ContainsSubstring("(1, 2, 13, 12)"));
}

}  // namespace splitvit::nn
