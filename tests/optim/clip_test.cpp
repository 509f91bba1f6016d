// SPDX-License-Identifier: MIT

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <splitvit/optim/optimizer.hpp>

#include "support/catch.hpp"

namespace splitvit::optim {
namespace {

using Parameters = std::vector<std::pair<std::string, Variable<double>>>;

Parameters with_gradients(const std::vector<double>& a, const std::vector<double>& b) {
  Parameters all;
  for (const auto& values : {a, b}) {
    const Shape shape{static_cast<Index>(values.size())};
    all.emplace_back("p" + std::to_string(all.size()),
                     Variable<double>::parameter(Tensor<double>{shape}));
    all.back().second.add_gradient(Tensor<double>{shape, values});
  }
  all.emplace_back("without", Variable<double>::parameter(Tensor<double>{{2}}));
  return all;
}

}  // namespace

TEST_CASE("clip_gradients: scales all of them together", "[optim]") {
  const auto parameters = with_gradients({3, 0}, {4});
  CHECK(clip_gradients(parameters, 1.0) == 5.0);
  const double factor = 1.0 / (5.0 + 1e-6);
  CHECK(parameters[0].second.gradient()[0] == 3.0 * factor);
  CHECK(parameters[0].second.gradient()[1] == 0.0);
  CHECK(parameters[1].second.gradient()[0] == 4.0 * factor);
  CHECK(!parameters[2].second.has_gradient());
}

TEST_CASE("clip_gradients: leaves small ones alone", "[optim]") {
  const auto parameters = with_gradients({3, 0}, {4});
  CHECK(clip_gradients(parameters, 6.0) == 5.0);
  CHECK(parameters[0].second.gradient()[0] == 3.0);
  CHECK(clip_gradients(Parameters{}, 1.0) == 0.0);
}

TEST_CASE("clip_gradients: a norm that is not finite is left to the caller", "[optim]") {
  const auto parameters = with_gradients({std::numeric_limits<double>::infinity(), 1}, {4});
  CHECK(std::isinf(clip_gradients(parameters, 1.0)));
  CHECK(parameters[1].second.gradient()[0] == 4.0);
}

TEST_CASE("clip_gradients: misuse", "[optim]") {
  CHECK_THROWS_AS(clip_gradients(Parameters{}, 0.0), std::invalid_argument);
  CHECK_THROWS_AS(clip_gradients(Parameters{}, std::nan("")), std::invalid_argument);
}

}  // namespace splitvit::optim
