// SPDX-License-Identifier: MIT
#include <cmath>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/nn/feedback.hpp>
#include <splitvit/spec/grammar.hpp>

#include "autograd/probe.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using nn::Feedback;

namespace {

Feedback parsed(std::string_view text) {
  return spec::read_policy<Feedback>(spec::PolicyText{"parse_method", text});
}

}  // namespace

TEST_CASE("feedback: texts, and which steps have the server's gradient", "[nn]") {
  CHECK(parsed("feedback:gradient") == Feedback{});
  CHECK(parsed("feedback:every:1") == Feedback{});
  CHECK(parsed("feedback:local") == Feedback{.every = 0});
  CHECK(parsed("feedback:every:12") == Feedback{.every = 12});
  for (const char* const text : {"feedback:gradient", "feedback:local", "feedback:every:12"})
    CHECK(parsed(text).description() == text);
  CHECK(spec::usage<Feedback>() == "feedback:gradient|local|every:K");
  for (const char* const text : {"feedback", "feedback:", "feedback:every", "feedback:every:0",
                                 "feedback:every:-1", "feedback:every:2.5", "feedback:never"}) {
    INFO(text);
    CHECK_THROWS_WITH(parsed(text), ContainsSubstring("gradient, local, or every:K"));
  }
  for (const std::uint64_t step : {1u, 2u, 3u, 4u, 5u, 6u}) {
    CHECK(!Feedback{}.is_local(step));
    CHECK(Feedback{.every = 0}.is_local(step));
    CHECK(Feedback{.every = 3}.is_local(step) == (step % 3 != 0));
  }
  CHECK(!Feedback{}.needs_head());
  CHECK(Feedback{.every = 0}.needs_head());
  CHECK(Feedback{.every = 2}.needs_head());
}

TEST_CASE("local head: it starts by knowing nothing, and its gradients are right", "[nn]") {
  nn::LocalHead<double> head{4, 3};
  const Labels labels = std::vector<Index>{0, 2};
  Rng rng{.seed = 8};
  const auto tokens = test::drawn<double>({2, 5, 4}, rng);
  CHECK(head.loss(Variable<double>{tokens}, labels).value()[0] == Approx(std::log(3.0)));

  std::vector<std::string> names;
  for (const auto& [name, parameter] : nn::parameters<double>(head)) {
    names.push_back(name);
    for (double& value : parameter.mutable_value().span()) value += 0.3 * rng.normal();
  }
  CHECK(names == std::vector<std::string>{"norm.weight", "norm.bias", "head.weight", "head.bias"});
  CHECK(gradcheck([&](const Variable<double>& x) { return head.loss(x, labels); }, tokens));
  CHECK_THROWS_AS(head.loss(Variable<double>{Tensor<double>{{2, 0, 4}}}, labels), ShapeError);
}
