// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>

#include <splitvit/optim/sgd.hpp>
#include <splitvit/split/party.hpp>

#include "support/catch.hpp"

using namespace splitvit;

TEST_CASE("party: a step uses the schedule and the clipped gradient, then clears it", "[split]") {
  const auto weight = Variable<double>::parameter(Tensor<double>::full(Shape{2}, 1.0));
  optim::Optimizer optimizer{optim::Sgd{.lr = 100}, optim::NamedParameters<double>{{"w", weight}}};
  weight.add_gradient(Tensor<double>::full(Shape{2}, 3.0));
  const split::TrainingOptions options{
      .schedule = [](std::uint64_t step) { return step == 4 ? 0.5 : 0.0; }, .clip_norm = 1};
  split::detail::apply(optimizer, options, 5);
  CHECK(weight.value()[0] == Approx(1 - 0.5 / std::sqrt(2.0)).epsilon(1e-5));
  CHECK_FALSE(weight.has_gradient());
}

TEST_CASE("party: a gradient that is not finite changes nothing, and none is left", "[split]") {
  const auto weight = Variable<float>::parameter(Tensor<float>::full(Shape{2}, 1.0f));
  optim::Optimizer optimizer{optim::Sgd{.lr = 1}, optim::NamedParameters<float>{{"w", weight}}};
  {
    const split::detail::ClearedGradients cleared{optimizer};
    weight.add_gradient(Tensor<float>::full(Shape{2}, std::numeric_limits<float>::infinity()));
    CHECK_THROWS_WITH(split::detail::apply(optimizer, {}, 7),
                      ContainsSubstring("step 7: the gradient of w is not finite"));
  }
  CHECK(weight.value()[0] == 1.0f);
  CHECK_FALSE(weight.has_gradient());
}
