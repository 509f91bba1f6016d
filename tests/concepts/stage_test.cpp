// SPDX-License-Identifier: MIT
// Models and counter-models of CompressionStage.

#include <splitvit/compress/adc.hpp>
#include <splitvit/compress/concepts.hpp>
#include <splitvit/compress/merge_samples.hpp>
#include <splitvit/compress/select_tokens.hpp>
#include <splitvit/compress/then.hpp>

#include "support/catch.hpp"

// Stages as a stranger writes them: in another namespace, with nothing but the headers.
namespace stranger::stages {

using splitvit::Index;
using splitvit::Rng;
using splitvit::compress::CutBatch;

/// Keeps every k-th token. The smallest stage that is still useful.
struct EveryKth {
  Index k = 2;

  template <std::floating_point T>
  CutBatch<T> operator()(CutBatch<T> in, Rng&) const {
    std::vector<Index> kept;  // CLS is token 0, so it stays
    for (Index j = 0; j < in.token_count(); j += k) kept.push_back(j);
    return gather_tokens(std::move(in), kept);
  }
};

/// For one element type only.
struct FloatOnly {
  CutBatch<float> operator()(CutBatch<float> in, Rng&) const { return in; }
};

struct ReturnsNothing {
  void operator()(CutBatch<float>, Rng&) const {}
};
struct ChangesItself {
  int calls = 0;
  CutBatch<float> operator()(CutBatch<float> in, Rng&) {
    ++calls;
    return in;
  }
};
struct WithoutRng {
  CutBatch<float> operator()(CutBatch<float> in) const { return in; }
};
struct MoveOnly : FloatOnly {
  MoveOnly() = default;
  MoveOnly(MoveOnly&&) = default;
};

}  // namespace stranger::stages

namespace splitvit::compress {

static_assert(CompressionStage<Identity, float> && CompressionStage<Identity, double>);
static_assert(CompressionStage<MergeSamples, float> && CompressionStage<MergeSamples, double>);
static_assert(CompressionStage<SelectTokens, float> && CompressionStage<SelectTokens, double>);
static_assert(CompressionStage<Then<MergeSamples, SelectTokens>, float>);
static_assert(CompressionStage<Then<Then<Identity, MergeSamples>, SelectTokens>, double>);
static_assert(CompressionStage<stranger::stages::EveryKth, float>);
static_assert(CompressionStage<stranger::stages::EveryKth, double>);
static_assert(CompressionStage<stranger::stages::FloatOnly, float>);

static_assert(!CompressionStage<stranger::stages::FloatOnly, double>);
static_assert(!CompressionStage<stranger::stages::ReturnsNothing, float>);
static_assert(!CompressionStage<stranger::stages::ChangesItself, float>);
static_assert(!CompressionStage<stranger::stages::WithoutRng, float>);
static_assert(!CompressionStage<stranger::stages::MoveOnly, float>);
static_assert(!CompressionStage<int, float>);

// A composition is a stage for the element types that both parts are stages for.
static_assert(CompressionStage<Then<stranger::stages::FloatOnly, Identity>, float>);
static_assert(!CompressionStage<Then<stranger::stages::FloatOnly, Identity>, double>);

template <class A, class B>
concept Joins = requires(A a, B b) { a | b; };
static_assert(Joins<stranger::stages::EveryKth, SelectTokens> &&
              Joins<SelectTokens, stranger::stages::EveryKth>);
static_assert(Joins<stranger::stages::FloatOnly, Identity>);
static_assert(!Joins<SelectTokens, int> && !Joins<int, SelectTokens>);
static_assert(!Joins<stranger::stages::ReturnsNothing, SelectTokens>);

}  // namespace splitvit::compress

namespace elsewhere {

TEST_CASE("stages: a stranger's stage joins ours without a using", "[concepts]") {
  using splitvit::compress::SelectTokens;
  const auto joined = stranger::stages::EveryKth{.k = 3} | SelectTokens{.keep = 0.5};
  const auto reversed = SelectTokens{.keep = 0.5} | stranger::stages::EveryKth{.k = 3};
  CHECK(joined.first.k == 3);
  CHECK(reversed.second.k == 3);
}

TEST_CASE("stages: then() joins two of a stranger's stages", "[concepts]") {
  const auto joined =
      splitvit::compress::then(stranger::stages::EveryKth{2}, stranger::stages::EveryKth{3});
  splitvit::compress::CutBatch<double> batch{
      splitvit::Variable<double>{splitvit::Tensor<double>{{2, 13, 3}}},
      splitvit::Tensor<double>{{2, 13}}, std::vector<splitvit::Index>{0, 3}};
  for (splitvit::Index i = 0; i < 26; ++i) batch.cls_attention[i] = static_cast<double>(i);
  splitvit::Rng rng;
  const auto out = joined(batch, rng);
  REQUIRE(out.token_count() == 3);  // 13 -> 7 -> 3
  CHECK(out.cls_attention[1] == 6.0);
  CHECK(out.cls_attention[5] == 25.0);
}

TEST_CASE("stages: Then takes its types from its values", "[concepts]") {
  const splitvit::compress::Then joined{stranger::stages::EveryKth{2},
                                        splitvit::compress::Identity{}};
  CHECK(joined.first.k == 2);
}

}  // namespace elsewhere
