// SPDX-License-Identifier: MIT
#include <splitvit/nn/mlp.hpp>

#include "autograd/probe.hpp"
#include "nn/models.hpp"
#include "support/catch.hpp"

namespace splitvit::nn {

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
