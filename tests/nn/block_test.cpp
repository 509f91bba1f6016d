// SPDX-License-Identifier: MIT
#include <splitvit/nn/block.hpp>

#include "autograd/probe.hpp"
#include "nn/models.hpp"
#include "support/catch.hpp"

namespace splitvit::nn {

TEST_CASE("Block: timm's names, in timm's order", "[nn]") {
  const Block<float> block{6, 2, 24};
  CHECK(test::names_of<float>(block) ==
        std::vector<std::string>{"norm1.weight", "norm1.bias", "attn.qkv.weight", "attn.qkv.bias",
                                 "attn.proj.weight", "attn.proj.bias", "norm2.weight", "norm2.bias",
                                 "mlp.fc1.weight", "mlp.fc1.bias", "mlp.fc2.weight",
                                 "mlp.fc2.bias"});
  CHECK(parameter_count<float>(block) == 4 * 6 + 18 * 7 + 6 * 7 + 24 * 7 + 6 * 25);
}

TEST_CASE("Block: with all layers zero it is the identity", "[nn]") {
  Rng rng{.seed = 8};
  const Block<float> block{6, 2, 12};
  const Variable<float> x{test::drawn<float>({2, 3, 6}, rng)};
  CHECK(test::equal_bits(block(x).y.value(), x.value()));
}

TEST_CASE("Block: two residual steps, each on a normalised x", "[nn]") {
  Rng rng{.seed = 9};
  const Block<double> block{6, 2, 12};
  test::draw_parameters<double>(block, rng);
  const auto x = test::drawn<double>({2, 3, 6}, rng);
  const Variable<double> v{x};
  const auto attended = block.attn(block.norm1(v), NeedWeights::cls);
  const auto middle = add(v, attended.y);
  const auto out = block(v, NeedWeights::cls);
  CHECK(test::equal_bits(out.y.value(), add(middle, block.mlp(block.norm2(middle))).value()));
  CHECK(test::equal_bits(out.cls_attention, attended.cls_attention));
  CHECK(test::equal_bits(out.y.value(), block(v).y.value()));
}

TEMPLATE_TEST_CASE("Block: CLS alone is token 0, and so are its gradients", "[nn]", float, double) {
  using T = TestType;
  Rng rng{.seed = 12};
  const Block<T> block{6, 2, 12};
  test::draw_parameters<T>(block, rng);
  const auto images = test::drawn<T>({2, 5, 6}, rng);
  const auto seed = test::drawn<T>({2, 6}, rng);
  const auto gradients = [&](auto&& cls_of) {
    const auto x = Variable<T>::parameter(Tensor<T>{images});
    const Variable<T> y = cls_of(x);
    backward(y, Tensor<T>{seed});
    std::vector<Tensor<T>> all{y.value(), x.gradient()};
    for (const auto& [name, parameter] : parameters<T>(block)) {
      all.push_back(parameter.gradient());
      parameter.clear_gradient();
    }
    return all;
  };
  const auto alone = gradients([&](const auto& x) { return block.cls(x); });
  const auto whole = gradients([&](const auto& x) { return cls_token(block(x).y); });
  for (std::size_t i = 0; i < alone.size(); ++i) {
    INFO("result " << i);
    CHECK(test::apart(alone[i], whole[i]) <= 2000 * test::unit<T>);
  }
}

TEST_CASE("Block: gradients of x and of every parameter agree with finite differences", "[nn]") {
  Rng rng{.seed = 10};
  Block<double> block{4, 2, 6};
  test::draw_parameters<double>(block, rng);
  const auto x = test::drawn<double>({2, 3, 4}, rng);
  CHECK(gradcheck([&](const auto& v) { return test::probe(block(v).y); }, x));
  const Variable<double> given{x};
  const auto check = [&](Variable<double>& parameter) {
    CHECK(gradcheck(
        [&](const Variable<double>& v) {
          parameter = v;
          return test::probe(block(given).y);
        },
        Tensor<double>{parameter.value()}));
  };
  for (auto* parameter :
       {&block.norm1.weight, &block.norm1.bias, &block.attn.qkv.weight, &block.attn.qkv.bias,
        &block.attn.proj.weight, &block.attn.proj.bias, &block.norm2.weight, &block.norm2.bias,
        &block.mlp.fc1.weight, &block.mlp.fc1.bias, &block.mlp.fc2.weight, &block.mlp.fc2.bias})
    check(*parameter);
}

TEMPLATE_TEST_CASE("LayerNorm: starts with ones and zeros, and timm's eps", "[nn]", float, double) {
  using T = TestType;
  const LayerNorm<T> norm{4};
  CHECK(test::names_of<T>(norm) == std::vector<std::string>{"weight", "bias"});
  CHECK(test::equal_bits(norm.weight.value(), Tensor<T>::full({4}, T{1})));
  CHECK(test::equal_bits(norm.bias.value(), Tensor<T>{{4}}));
  CHECK(norm.eps == T(1e-6));
}

TEMPLATE_TEST_CASE("LayerNorm: is layer_norm() with its parameters", "[nn]", float, double) {
  using T = TestType;
  Rng rng{.seed = 4};
  LayerNorm<T> norm{7};
  norm.eps = T(0.5);
  test::draw_parameters<T>(norm, rng);
  const Variable<T> x{test::drawn<T>({2, 3, 7}, rng)};
  CHECK(norm(x).shape() == x.shape());
  CHECK(test::equal_bits(norm(x).value(), layer_norm(x, norm.weight, norm.bias, T(0.5)).value()));
  CHECK_THROWS_AS(norm(Variable<T>{Tensor<T>{{2, 6}}}), ShapeError);
}

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

TEST_CASE("Mlp: names and shapes", "[nn]") {
  const Mlp<float> mlp{4, 10};
  CHECK(test::names_of<float>(mlp) ==
        std::vector<std::string>{"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"});
  CHECK(mlp.fc1.weight.shape() == Shape{10, 4});
  CHECK(mlp.fc2.weight.shape() == Shape{4, 10});
}

TEST_CASE("Mlp: two layers with GELU between", "[nn]") {
  Rng rng{.seed = 5};
  const Mlp<double> mlp{4, 10};
  test::draw_parameters<double>(mlp, rng);
  const auto x = test::drawn<double>({2, 3, 4}, rng);
  const Variable<double> v{x};
  CHECK(test::equal_bits(mlp(v).value(), mlp.fc2(gelu(mlp.fc1(v))).value()));
  CHECK(mlp(v).shape() == v.shape());
  CHECK(gradcheck([&](const auto& u) { return test::probe(mlp(u)); }, x));
}

}  // namespace splitvit::nn
