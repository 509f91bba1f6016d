// SPDX-License-Identifier: MIT
#include <splitvit/autograd/ops/tokens.hpp>
#include <splitvit/nn/attention.hpp>

#include "autograd/probe.hpp"
#include "nn/models.hpp"
#include "support/catch.hpp"

namespace splitvit::nn {

TEST_CASE("Attention: names and shapes", "[nn]") {
  const Attention<float> attn{6, 3};
  CHECK(test::names_of<float>(attn) ==
        std::vector<std::string>{"qkv.weight", "qkv.bias", "proj.weight", "proj.bias"});
  CHECK(attn.qkv.weight.shape() == Shape{18, 6});
  CHECK(attn.proj.weight.shape() == Shape{6, 6});
}

TEST_CASE("Attention: attention() between its two layers", "[nn]") {
  Rng rng{.seed = 6};
  const Attention<double> attn{6, 3};
  test::draw_parameters<double>(attn, rng);
  const auto x = test::drawn<double>({2, 5, 6}, rng);
  const Variable<double> v{x};
  const auto with = attn(v, NeedWeights::cls);
  const auto inner = attention(attn.qkv(v), 3, NeedWeights::cls);
  CHECK(test::equal_bits(with.y.value(), attn.proj(inner.y).value()));
  CHECK(test::equal_bits(with.cls_attention, inner.cls_attention));
  CHECK(attn(v).cls_attention.empty());
  CHECK(gradcheck([&](const auto& u) { return test::probe(attn(u).y); }, x));
}

TEST_CASE("Attention: CLS alone is row 0", "[nn]") {
  Rng rng{.seed = 11};
  const Attention<double> attn{6, 3};
  test::draw_parameters<double>(attn, rng);
  const Variable<double> x{test::drawn<double>({2, 5, 6}, rng)};
  CHECK(test::apart(attn.cls(x).value(), cls_token(attn(x).y).value()) <= 64 * test::unit<double>);
}

TEST_CASE("Attention: the order of the other tokens does not matter to CLS", "[nn]") {
  Rng rng{.seed = 7};
  const Attention<double> attn{6, 2};
  test::draw_parameters<double>(attn, rng);
  const auto x = test::drawn<double>({1, 4, 6}, rng);
  Tensor<double> swapped = x;
  for (Index j = 0; j < 6; ++j) std::swap(swapped[6 + j], swapped[18 + j]);  // tokens 1 and 3
  const auto a = attn(Variable<double>{x}, NeedWeights::cls);
  const auto b = attn(Variable<double>{swapped}, NeedWeights::cls);
  for (Index j = 0; j < 6; ++j) CHECK(a.y.value()[j] == Approx(b.y.value()[j]));
  CHECK(a.cls_attention[1] == Approx(b.cls_attention[3]));
}

}  // namespace splitvit::nn
