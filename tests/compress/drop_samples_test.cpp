// SPDX-License-Identifier: MIT

#include <cmath>
#include <numeric>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/codec/float32.hpp>
#include <splitvit/compress/drop_samples.hpp>
#include <splitvit/compress/merge_samples.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"
#include "support/random_batch.hpp"

namespace splitvit::compress {

using test::equal_bits;
using test::random_batch;
using test::tensor;

TEST_CASE("gather_samples: rows and gradients, worked by hand", "[compress]") {
  const auto x = Variable<float>::parameter(tensor<float>({3, 2, 1}, {1, 2, 3, 4, 5, 6}));
  CutBatch<float> batch{x, tensor<float>({3, 2}, {.1f, .9f, .2f, .8f, .3f, .7f}),
                        std::vector<Index>{1, 2, 3}};
  batch.sizes = {4, 5, 6};
  const std::vector<Index> kept{2, 0};
  const auto out = gather_samples(batch, kept);
  CHECK(equal_bits(out.tokens.value(), tensor<float>({2, 2, 1}, {5, 6, 1, 2})));
  CHECK(equal_bits(out.cls_attention, tensor<float>({2, 2}, {.3f, .7f, .1f, .9f})));
  CHECK(out.labels == std::vector<Index>{3, 1});
  CHECK(out.sizes == std::vector<Index>{6, 4});
  backward(out.tokens, tensor<float>({2, 2, 1}, {10, 20, 30, 40}));
  CHECK(equal_bits(x.gradient(), tensor<float>({3, 2, 1}, {30, 40, 0, 0, 10, 20})));
}

TEST_CASE("DropSamples: sends as many bytes as MergeSamples", "[compress]") {
  Rng rng{.seed = 3};
  const auto bytes = [&](const CutBatch<float>& sent) {
    std::vector<std::byte> out;
    codec::encode<float>(codec::Float32{}, sent.tokens.value().view(), out, rng);
    return out.size();
  };
  for (const Index B : {1, 2, 3, 7, 32})
    for (const double keep : {0.01, 0.29, 0.5, 0.9, 1.0}) {
      const auto batch = random_batch<float>({.samples = B}, rng);
      CHECK(bytes(DropSamples{.keep = keep}(batch, rng)) ==
            bytes(MergeSamples{.keep = keep}(batch, rng)));
    }
}

TEST_CASE("DropSamples: keeps whole samples, in order", "[compress]") {
  Rng rng{.seed = 4};
  auto batch = random_batch<float>({.samples = 20, .tokens = 3, .width = 1, .classes = 20}, rng);
  std::vector<Index> ids(20);
  std::iota(ids.begin(), ids.end(), Index{0});
  batch.labels = ids;
  for (Index b = 0; b < 20; ++b) batch.tokens.mutable_value()[3 * b] = static_cast<float>(b);
  const auto out = DropSamples{.keep = 0.4}(batch, rng);
  REQUIRE(out.samples() == 8);
  Index before = -1;
  for (Index k = 0; k < 8; ++k) {
    const auto b = static_cast<Index>(out.tokens.value()[3 * k]);
    CHECK(b > before);
    CHECK(out.labels.row(k).classes[0] == b);
    CHECK(out.cls_attention[3 * k] == batch.cls_attention[3 * b]);
    before = b;
  }
}

TEST_CASE("DropSamples: keeps each sample equally often", "[compress]") {
  Rng rng{.seed = 5};
  auto batch = random_batch<float>({.samples = 6, .tokens = 1, .width = 1}, rng);
  for (Index b = 0; b < 6; ++b) batch.tokens.mutable_value()[b] = static_cast<float>(b);
  std::vector<int> kept(6);
  for (int run = 0; run < 3000; ++run) {
    const auto out = DropSamples{.keep = 0.34}(batch, rng);
    for (const float b : out.tokens.value().span()) ++kept[static_cast<std::size_t>(b)];
  }
  for (const int count : kept) CHECK(std::abs(count - 1000) < 120);
}

TEST_CASE("DropSamples: description holds every option", "[compress]") {
  CHECK(DropSamples{.keep = 0.25, .min_samples = 3}.description() == "drop:0.25:min_samples=3");
}

TEST_CASE("DropSamples: misuse", "[compress]") {
  Rng rng{.seed = 6};
  const auto batch = random_batch<float>({.samples = 4}, rng);
  const DropSamples none{.min_samples = 0};
  CHECK_THROWS_AS(none(batch, rng), std::invalid_argument);
  const auto gather = [&](const std::vector<Index>& index) { return gather_samples(batch, index); };
  CHECK_THROWS_AS(gather({}), std::invalid_argument);
  CHECK_THROWS_AS(gather({4}), std::invalid_argument);
  CHECK_THROWS_AS(gather({-1}), std::invalid_argument);
  CHECK_THROWS_WITH(gather({1, 3, 1}), ContainsSubstring("sample 1 comes twice"));
}

}  // namespace splitvit::compress
