// SPDX-License-Identifier: MIT

#include <splitvit/optim/schedule.hpp>

#include "support/catch.hpp"

namespace splitvit::optim {

TEST_CASE("schedule: constant", "[optim]") {
  CHECK(Constant{.lr = 0.5}(0) == 0.5);
  CHECK(Constant{.lr = 0.5}(1000000) == 0.5);
}

TEST_CASE("schedule: cosine", "[optim]") {
  const Cosine rate{.lr = 1.0, .steps = 4, .last = 0.2};
  CHECK(rate(0) == 1.0);
  CHECK(rate(1) == Approx(0.2 + 0.4 * (1.0 + 0.70710678118654752)));
  CHECK(rate(2) == Approx(0.6));
  CHECK(rate(4) == 0.2);
  CHECK(rate(100) == 0.2);
  CHECK(Cosine{.lr = 1.0, .steps = 0}(0) == 0.0);
}

TEST_CASE("schedule: warm-up rises evenly and hands over", "[optim]") {
  const auto rate = warm_up(3, Cosine{.lr = 1.0, .steps = 10});
  CHECK(rate(0) == 0.25);
  CHECK(rate(1) == 0.5);
  CHECK(rate(2) == 0.75);
  CHECK(rate(3) == 1.0);
  CHECK(rate(8) == Cosine{.lr = 1.0, .steps = 10}(5));
  CHECK(warm_up(0, Constant{.lr = 0.5})(0) == 0.5);
  CHECK(warm_up(1, warm_up(1, Constant{.lr = 1.0}))(1) == 0.5);  // composes
}

}  // namespace splitvit::optim
