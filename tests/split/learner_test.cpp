// SPDX-License-Identifier: MIT
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <vector>

#include <splitvit/core/state.hpp>
#include <splitvit/optim/adam.hpp>
#include <splitvit/optim/sgd.hpp>
#include <splitvit/split/learner.hpp>
#include <splitvit/tensor/elementwise.hpp>
#include <splitvit/tensor/reduce.hpp>

#include "split/loopback.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using split::Learner;

namespace {

/// Gives every parameter the same gradient.
template <class T>
void give_gradients(const Learner<T>& learner, T value) {
  for (const auto& [name, parameter] : learner.optimizer().parameters())
    parameter.add_gradient(Tensor<T>::full(parameter.shape(), value));
}

}  // namespace

TEST_CASE("learner: a step uses the schedule and the clipped gradient, then clears it", "[split]") {
  Learner learner{
      test::client_part<double>(),
      optim::Sgd{.lr = 100},
      {.schedule = [](std::uint64_t step) { return step == 0 ? 0.5 : 0.0; }, .clip_norm = 1}};
  const auto before = test::numbers_of<double>(learner.part());
  give_gradients(learner, 3.0);
  learner.apply();
  const auto after = test::numbers_of<double>(learner.part());
  double length = 0;
  for (std::size_t i = 0; i < before.size(); ++i)
    length += (after[i] - before[i]) * (after[i] - before[i]);
  CHECK(length == Approx(0.25).epsilon(1e-4));
  CHECK(!learner.optimizer().parameters()[0].second.has_gradient());

  give_gradients(learner, 3.0);
  learner.apply();  // at a learning rate of 0
  CHECK(test::numbers_of<double>(learner.part()) == after);
  CHECK(learner.steps() == 2);
}

TEST_CASE("learner: a gradient that is not finite changes nothing", "[split]") {
  Learner learner{test::client_part<float>(), optim::Adam{}, {.clip_norm = 1}};
  give_gradients(learner, 1.0f);
  learner.apply();
  const auto before = state_bytes(learner);
  give_gradients(learner, 1.0f);
  learner.optimizer().parameters().back().second.mutable_gradient()[0] =
      std::numeric_limits<float>::infinity();
  CHECK_THROWS_WITH(learner.apply(), ContainsSubstring("step 2: the gradient of blocks.0"));
  learner.discard();
  CHECK(state_bytes(learner) == before);
  CHECK(!learner.optimizer().parameters()[0].second.has_gradient());
}

namespace {

struct Throws {
  double lr = 0;
  std::span<const std::string_view> state_names() const { return {}; }
  template <std::floating_point T>
  void update(std::uint64_t, double, std::span<T>, std::span<const T>,
              std::span<const std::span<T>>) const {
    throw std::runtime_error("a rule must not throw");
  }
};

}  // namespace

TEST_CASE("learner: after a rule has thrown, each further step says so", "[split]") {
  Learner learner{test::client_part<float>(), Throws{}};
  give_gradients(learner, 1.0f);
  CHECK_THROWS_AS(learner.apply(), std::runtime_error);
  learner.discard();
  give_gradients(learner, 1.0f);
  CHECK_THROWS_WITH(learner.apply(), ContainsSubstring("has failed within a step"));
  CHECK(learner.steps() == 0);
}

TEST_CASE("learner: its state is all that a second one needs to go on alike", "[split]") {
  Learner first{test::server_part<float>(), optim::Adam{}};
  give_gradients(first, 0.5f);
  first.apply();
  Learner second{nn::Part<float>{test::small_vit, 1, 3}, optim::Adam{}};
  set_state_bytes(second, state_bytes(first));
  for (Learner<float>* learner : {&first, &second}) {
    give_gradients(*learner, -0.25f);
    learner->apply();
  }
  CHECK(state_bytes(first) == state_bytes(second));
  CHECK(test::numbers_of<float>(first.part()) == test::numbers_of<float>(second.part()));
}

TEST_CASE("learner: a parameter without a gradient stays as it is", "[split]") {
  Learner learner{test::client_part<float>(), optim::Sgd{.lr = 1}};
  const auto& parameters = learner.optimizer().parameters();
  const auto& [name, first] = parameters.front();
  first.add_gradient(Tensor<float>::full(first.shape(), 1));
  const auto before = test::numbers_of<float>(learner.part());
  const auto count = static_cast<std::size_t>(first.value().size());
  learner.apply();
  const auto after = test::numbers_of<float>(learner.part());
  CHECK(after[0] == before[0] - 1);
  CHECK(std::vector(after.begin() + static_cast<std::ptrdiff_t>(count), after.end()) ==
        std::vector(before.begin() + static_cast<std::ptrdiff_t>(count), before.end()));
}

TEST_CASE("learner: the weights of another part are refused", "[split]") {
  Learner learner{test::client_part<float>(), optim::Sgd{}};
  CHECK_THROWS_AS(learner.set_weights(test::server_part<float>()), std::logic_error);
  nn::VitConfig wider = test::small_vit;
  wider.dim *= 2;
  const nn::Part<float>& own = learner.part();
  CHECK_THROWS_AS(learner.set_weights(nn::Part<float>{wider, own.first, own.last}),
                  std::logic_error);
  CHECK_NOTHROW(learner.set_weights(test::copy_of(own)));
  nn::VitConfig deeper = test::small_vit;
  deeper.depth = 4;
  Learner second_block{nn::Part<float>{deeper, 1, 2}, optim::Sgd{}};
  CHECK_THROWS_AS(second_block.set_weights(nn::Part<float>{deeper, 2, 3}), std::logic_error);
}
