// SPDX-License-Identifier: MIT
#include <splitvit/nn/patch_embed.hpp>

#include "autograd/probe.hpp"
#include "nn/models.hpp"
#include "support/catch.hpp"

namespace splitvit::nn {

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
