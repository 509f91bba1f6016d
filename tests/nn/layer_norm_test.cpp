// SPDX-License-Identifier: MIT
#include <splitvit/nn/layer_norm.hpp>

#include "nn/models.hpp"
#include "support/catch.hpp"

namespace splitvit::nn {

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

}  // namespace splitvit::nn
