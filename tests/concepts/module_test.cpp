// SPDX-License-Identifier: MIT
// Models and counter-models of nn::Module.

#include <string>

#include <splitvit/nn/cut.hpp>

#include "support/catch.hpp"

// Modules as a stranger writes them: in another namespace, with nothing but the headers.
namespace stranger::modules {
namespace {

using splitvit::Variable;

template <class T>
struct Scaled {
  Variable<T> factor;
  void each_parameter(auto&& see) const { see("factor", factor); }
};

struct WithoutParameters {
  void each_parameter(auto&&) const {}
};

/// Not a template: for float alone.
struct FloatOnly {
  Variable<float> weight;
  void each_parameter(splitvit::nn::ParameterVisitor<float> see) const { see("weight", weight); }
};

struct Nothing {};
struct ChangesItself {
  Variable<float> weight;
  void each_parameter(auto&& see) { see("weight", weight); }
};
struct TakesNoVisitor {
  void each_parameter() const {}
};
struct Hidden {
 private:
  void each_parameter(auto&&) const {}
};

}  // namespace
}  // namespace stranger::modules

namespace splitvit::nn {

static_assert(Module<Linear<float>, float> && Module<Linear<double>, double>);
static_assert(Module<LayerNorm<float>, float> && Module<Mlp<float>, float>);
static_assert(Module<Attention<float>, float> && Module<Block<double>, double>);
static_assert(Module<PatchEmbed<float>, float> && Module<Stem<float>, float>);
static_assert(Module<Blocks<float>, float> && Module<Classifier<float>, float>);
static_assert(Module<Vit<float>, float> && Module<Part<float>, float> &&
              Module<Part<double>, double>);
static_assert(Module<stranger::modules::Scaled<float>, float> &&
              Module<stranger::modules::Scaled<double>, double>);
static_assert(Module<stranger::modules::WithoutParameters, float>);
static_assert(Module<stranger::modules::FloatOnly, float>);

static_assert(!Module<stranger::modules::FloatOnly, double>);
static_assert(!Module<stranger::modules::Nothing, float>);
static_assert(!Module<stranger::modules::ChangesItself, float>);
static_assert(!Module<stranger::modules::TakesNoVisitor, float>);
static_assert(!Module<stranger::modules::Hidden, float>);
static_assert(!Module<int, float>);

}  // namespace splitvit::nn

namespace elsewhere {

TEST_CASE("Module: a stranger's module works with our functions", "[concepts]") {
  using splitvit::Tensor;
  const stranger::modules::Scaled<float> module{
      splitvit::Variable<float>::parameter(Tensor<float>{{2, 3}})};
  CHECK(splitvit::nn::parameter_count<float>(module) == 6);
  CHECK(splitvit::nn::parameters<float>(module)[0].first == "factor");
  splitvit::nn::freeze<float>(module);
  CHECK(!module.factor.requires_grad());
  CHECK(splitvit::nn::parameters<float>(stranger::modules::WithoutParameters{}).empty());
}

}  // namespace elsewhere
