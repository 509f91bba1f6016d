// SPDX-License-Identifier: MIT
// What holds for every stage and every option of it, asked of all of them in one place.

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/gradcheck.hpp>
#include <splitvit/autograd/ops/arithmetic.hpp>
#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/autograd/ops/sum.hpp>
#include <splitvit/core/parallel.hpp>
#include <splitvit/spec/stages.hpp>

#include "support/catch.hpp"
#include "support/random_batch.hpp"

namespace splitvit::compress {
namespace {

using spec::parse_stage;
using test::equal_bits;
using test::random_batch;

static_assert(CompressionStage<DropSamples, float> && CompressionStage<DropSamples, double>);
static_assert(CompressionStage<MergeTokens, float> && CompressionStage<MergeTokens, double>);

/// Every stage with R for the fraction that it keeps.
const std::vector<std::string>& every_stage() {
  static const std::vector<std::string> texts{
      "none",
      "merge:R",
      "merge:R:start=plus_plus",
      "merge:R:stop=fixpoint:max_iterations=3",
      "merge:R:with_cls_entry=no",
      "merge:R:min_cluster_size=2",
      "merge:R:grouping=random",
      "merge:R:min_clusters=1:tolerance=0",
      "drop:R",
      "drop:R:min_samples=1",
      "select:R",
      "select:R:score=norm",
      "select:R:score=deviation",
      "select:R:score=farthest",
      "select:R:score=even",
      "select:R:score=random",
      "select:R:score=received",
      "select:R:score=value:rest=mean",
      "select:R:score=rollout",
      "select:R:rest=attention",
      "select:R:rest=mean",
      "select:R:score=random:rest=attention",
      "merge-tokens:R",
      "merge-tokens:R:features=keys",
      "merge-tokens:R:send_sizes=yes",
      "adc:R",
      "adc:R:split=fifth:score=norm",
      "adc:R:split=final_release:rest=mean:grouping=random",
      "drop:R,merge-tokens:R",
      "merge-tokens:R,select:R,merge:R",
      "shuffle",
      "select:R,shuffle,merge:R",
      "noise:R:clip=1.5",
  };
  return texts;
}

template <class T>
AnyStage<T> stage_named(std::string text, const std::string& keep) {
  for (std::size_t at = text.find('R'); at != std::string::npos; at = text.find('R'))
    text.replace(at, 1, keep);
  return parse_stage<T>(text);
}

/// The same batch with tokens that have collected no gradient yet.
template <class T>
CutBatch<T> fresh(CutBatch<T> batch) {
  batch.tokens = Variable<T>::parameter(batch.tokens.value());
  return batch;
}

/// Numbers in which something is degenerate.
template <class T>
void make_awkward(CutBatch<T>& batch, Index kind, Rng& rng) {
  const Index B = batch.samples(), N = batch.token_count();
  auto tokens = batch.tokens.mutable_value().span();
  auto attention = batch.cls_attention.span();
  const auto large = [&] {
    return std::numeric_limits<T>::max() * static_cast<T>(rng.uniform(-1.0, 1.0));
  };
  switch (kind) {
    case 0:  // even attention
      std::ranges::fill(attention, static_cast<T>(1.0 / static_cast<double>(N)));
      break;
    case 1:  // all on CLS, so nothing on the others
      for (Index i = 0; i < B * N; ++i) batch.cls_attention[i] = i % N == 0 ? T{1} : T{0};
      break;
    case 2:  // all samples and all tokens equal
      std::ranges::fill(attention, static_cast<T>(0.25));
      std::ranges::fill(tokens, static_cast<T>(0.5));
      break;
    case 3:
      std::ranges::fill(attention, T{});
      std::ranges::fill(tokens, T{});
      break;
    case 4:  // as large as can be
      for (T& value : attention) value = large();
      for (T& value : tokens) value = large();
      break;
    case 5:  // all at the limit
      std::ranges::fill(attention, std::numeric_limits<T>::max());
      std::ranges::fill(tokens, std::numeric_limits<T>::max());
      break;
    case 6:  // as small as can be
      std::ranges::fill(attention, std::numeric_limits<T>::denorm_min());
      std::ranges::fill(tokens, -std::numeric_limits<T>::denorm_min());
      break;
    default:
      break;
  }
}

template <class T>
void check_result(const CutBatch<T>& in, const CutBatch<T>& out) {
  REQUIRE(out.samples() >= 1);
  REQUIRE(out.samples() <= in.samples());
  REQUIRE(out.token_count() >= 1);
  REQUIRE(out.token_count() <= in.token_count());
  REQUIRE(out.width() == in.width());
  REQUIRE(out.cls_attention.shape() == Shape{out.samples(), out.token_count()});
  REQUIRE(out.labels.row_count() == out.samples());
  REQUIRE(all_finite<T>(out.tokens.value().view()));
  REQUIRE(all_finite<T>(out.cls_attention.view()));
  const Index classes = test::BatchSizes{}.classes;
  const auto targets = target_rows<T>(out.labels, classes);
  for (Index k = 0; k < out.samples(); ++k) {
    double sum = 0.0;
    for (Index c = 0; c < classes; ++c) sum += static_cast<double>(targets[k * classes + c]);
    REQUIRE(std::abs(sum - 1.0) < 1e-6);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("stages: any finite batch, twice the same", "[compress]", float, double) {
  using T = TestType;
  Rng rng{.seed = 9};
  for (const std::string& text : every_stage()) {
    for (int run = 0; run < 60; ++run) {
      const Index B = 2 + rng.below(12), N = 1 + rng.below(12), D = rng.below(10);
      auto batch = random_batch<T>({.samples = B, .tokens = N, .width = D}, rng);
      const Index kind = rng.below(10);
      make_awkward(batch, kind, rng);
      const auto before = fresh(batch);
      const auto stage = stage_named<T>(text, std::to_string(rng.uniform(0.01, 1.0)));
      INFO(stage.description() << ", run " << run << " kind " << kind << ": B " << B << " N " << N
                               << " D " << D);
      Rng first = rng, second = rng;
      const auto out = stage(batch, first);
      check_result(batch, out);
      REQUIRE(equal_bits(batch, before));  // what came in is left alone
      REQUIRE(equal_bits(stage(batch, second), out));
      REQUIRE(first.position == second.position);
      backward(out.tokens, Tensor<T>::full(out.tokens.shape(), T{1}));
      if (D == 0) continue;
      REQUIRE(batch.tokens.gradient().shape() == batch.tokens.shape());
      REQUIRE(all_finite<T>(batch.tokens.gradient().view()));
      rng.position += 1000;
    }
  }
}

TEST_CASE("stages: one sample, one token", "[compress]") {
  Rng rng{.seed = 2};
  for (const std::string& text : every_stage()) {
    INFO(text);
    const auto stage = stage_named<float>(text, "0.01");
    const bool wants_two = text.find("min_cluster_size=2") != std::string::npos;
    for (const Index B : {1, 2})
      for (const Index N : {1, 2, 3}) {
        const auto batch = random_batch<float>({.samples = B, .tokens = N}, rng);
        if (B == 1 && wants_two)
          CHECK_THROWS_AS(stage(batch, rng), std::invalid_argument);
        else
          check_result(batch, stage(batch, rng));
      }
  }
}

TEST_CASE("stages: who keeps everything changes and draws nothing", "[compress]") {
  Rng rng{.seed = 3};
  const auto batch = random_batch<float>({}, rng);
  const Rng before = rng;
  for (const std::string& text : every_stage()) {
    // Those that ask for more than fewer tokens or samples.
    const std::vector<std::string> others{"min_cluster_size", "shuffle", "noise"};
    const auto is_in_text = [&](const std::string& word) { return text.find(word) != text.npos; };
    if (std::ranges::any_of(others, is_in_text)) continue;
    INFO(text);
    const auto out = stage_named<float>(text, "1")(batch, rng);
    CHECK(equal_bits(out, batch));
    CHECK(out.tokens.node() == batch.tokens.node());
    CHECK(rng.position == before.position);
  }
}

TEST_CASE("stages: gradients agree with finite differences", "[compress]") {
  Rng rng{.seed = 8};
  const auto batch = random_batch<double>({.samples = 7, .tokens = 9, .width = 3}, rng);
  for (const std::string& text : every_stage()) {
    INFO(text);
    const auto stage = stage_named<double>(text, "0.5");
    const auto through = [&](const Variable<double>& x) {
      Rng same = rng;
      CutBatch<double> moved = batch;
      moved.tokens = x;
      // square() so that the incoming gradient is not constant
      return sum(square(stage(moved, same).tokens));
    };
    CHECK(gradcheck(through, batch.tokens.value(), {.step = 1e-5, .tolerance = 1e-7}));
  }
}

TEST_CASE("stages: the same bits for any number of threads", "[compress]") {
  Rng rng{.seed = 14};
  const auto batch = random_batch<float>({.samples = 40, .tokens = 33, .width = 50}, rng);
  for (const std::string& text : every_stage()) {
    INFO(text);
    const auto stage = stage_named<float>(text, "0.4");
    const auto run = [&](int threads) {
      return with_threads(threads, [&] {
        Rng same = rng;
        const auto in = fresh(batch);
        const auto out = stage(in, same);
        const auto gradient = test::drawn<float>(out.tokens.shape(), same);
        backward(out.tokens, gradient);
        return std::pair{out, in.tokens.gradient()};
      });
    };
    const auto once = run(1);
    for (const int threads : {2, 3, 8}) {
      const auto again = run(threads);
      CHECK(equal_bits(again.first, once.first));
      CHECK(equal_bits(again.second, once.second));
    }
  }
}

TEST_CASE("stages: those that only choose or average keep a row's attention", "[compress]") {
  Rng rng{.seed = 15};
  const auto batch = random_batch<double>({.samples = 6, .tokens = 20}, rng);
  for (const char* text : {"merge:0.5", "drop:0.5", "merge-tokens:0.3", "select:0.3:rest=mean",
                           "select:0.3:rest=attention", "adc:0.1:rest=mean"}) {
    INFO(text);
    const auto out = parse_stage<double>(text)(batch, rng);
    for (Index k = 0; k < out.samples(); ++k) {
      double sum = 0.0;
      for (Index p = 0; p < out.token_count(); ++p)
        sum += out.cls_attention[k * out.token_count() + p];
      CHECK(sum == Approx(1.0).epsilon(1e-12));
    }
  }
}

TEST_CASE("stages: different options have different descriptions", "[compress]") {
  std::set<std::string> all;
  for (const std::string& text : every_stage())
    all.insert(stage_named<float>(text, "0.5").description());
  CHECK(all.size() == every_stage().size());
}

TEST_CASE("stages: parts that do not belong together are refused", "[compress]") {
  Rng rng{.seed = 16};
  const auto batch = random_batch<float>({.samples = 4}, rng);
  std::vector<CutBatch<float>> wrong(5, batch);
  wrong[0].labels = std::vector<Index>{0, 1, 2};
  wrong[1].cls_attention = Tensor<float>{{4, 16}};
  wrong[2].tokens = Variable<float>{Tensor<float>{{4, 17}}};
  wrong[3].sizes = {1, 1, 1};
  wrong[4].statistics = Tensor<float>{{4, 16, 1}};
  for (const std::string& text : every_stage()) {
    if (text == "none") continue;
    INFO(text);
    for (const auto& bad : wrong)
      CHECK_THROWS_AS(stage_named<float>(text, "0.5")(bad, rng), ShapeError);
  }
}

TEST_CASE("stages: what decides must be finite", "[compress]") {
  Rng rng{.seed = 17};
  const auto good = random_batch<float>({.samples = 4}, rng);
  for (const float wrong :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    auto attention = good;
    attention.cls_attention[9] = wrong;
    for (const char* text : {"merge:0.5", "select:0.5", "select:0.5:score=even:rest=attention"})
      CHECK_THROWS_AS(parse_stage<float>(text)(attention, rng), std::invalid_argument);
    auto tokens = fresh(good);
    tokens.tokens.mutable_value()[9] = wrong;
    for (const char* text : {"select:0.5:score=norm", "select:0.5:score=deviation",
                             "select:0.5:score=farthest", "merge-tokens:0.5"})
      CHECK_THROWS_AS(parse_stage<float>(text)(tokens, rng), std::invalid_argument);
  }
}

TEMPLATE_TEST_CASE("stages: a fraction outside (0, 1] is refused", "[compress]", MergeSamples,
                   DropSamples, SelectTokens, MergeTokens) {
  Rng rng{.seed = 18};
  const auto batch = random_batch<float>({.samples = 4}, rng);
  for (const double keep : {0.0, -0.5, 1.01, std::nan("")}) {
    TestType stage;
    stage.keep = keep;
    CHECK_THROWS_AS(stage(batch, rng), std::invalid_argument);
  }
}

}  // namespace splitvit::compress
