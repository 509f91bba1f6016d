// SPDX-License-Identifier: MIT
#include <splitvit/nn/block.hpp>

#include "nn/models.hpp"
#include "support/catch.hpp"

namespace splitvit::nn {

TEMPLATE_TEST_CASE("Linear: starts as zeros, of the right shapes", "[nn]", float, double) {
  using T = TestType;
  const Linear<T> layer{3, 5};
  CHECK(test::names_of<T>(layer) == std::vector<std::string>{"weight", "bias"});
  CHECK(test::equal_bits(layer.weight.value(), Tensor<T>{{5, 3}}));
  CHECK(test::equal_bits(layer.bias.value(), Tensor<T>{{5}}));
  CHECK(layer.weight.requires_grad());
  CHECK(layer.bias.requires_grad());
}

TEMPLATE_TEST_CASE("Linear: is linear() with its parameters", "[nn]", float, double) {
  using T = TestType;
  Rng rng{.seed = 3};
  const Linear<T> layer{3, 5};
  test::draw_parameters<T>(layer, rng);
  const Variable<T> x{test::drawn<T>({2, 4, 3}, rng)};
  CHECK(layer(x).shape() == Shape{2, 4, 5});
  CHECK(test::equal_bits(layer(x).value(), linear(x, layer.weight, layer.bias).value()));
  CHECK_THROWS_AS(layer(Variable<T>{Tensor<T>{{2, 4}}}), ShapeError);
}

}  // namespace splitvit::nn
