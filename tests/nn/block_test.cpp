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

}  // namespace splitvit::nn
