// SPDX-License-Identifier: MIT
#include <algorithm>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/compress/shuffle_tokens.hpp>
#include <splitvit/nn/cut.hpp>

#include "support/catch.hpp"
#include "support/random_batch.hpp"

namespace splitvit::compress {

using test::random_batch;

TEST_CASE("ShuffleTokens: CLS stays, the others come in an order of each sample's own",
          "[compress]") {
  Rng rng{.seed = 1};
  const auto batch = random_batch<float>({.samples = 5, .tokens = 30, .width = 2}, rng);
  const auto out = ShuffleTokens{}(batch, rng);
  std::vector<std::vector<Index>> orders;
  for (Index b = 0; b < 5; ++b) {
    std::vector<Index> order;  // where each token was
    for (Index j = 0; j < 30; ++j)
      for (Index i = 0; i < 30; ++i)
        if (batch.cls_attention[30 * b + i] == out.cls_attention[30 * b + j]) {
          CHECK(batch.tokens.value()[2 * (30 * b + i)] == out.tokens.value()[2 * (30 * b + j)]);
          order.push_back(i);
        }
    REQUIRE(order.size() == 30);
    CHECK(order[0] == 0);
    CHECK(!std::ranges::is_sorted(order));
    orders.push_back(order);
  }
  CHECK(orders[0] != orders[1]);
  CHECK(out.labels == batch.labels);
}

TEST_CASE("ShuffleTokens: each order is equally likely", "[compress]") {
  Rng rng{.seed = 2};
  const auto batch = random_batch<float>({.samples = 1, .tokens = 4, .width = 1}, rng);
  std::vector<int> first(4);
  for (int run = 0; run < 3000; ++run) {
    const auto out = ShuffleTokens{}(batch, rng);
    for (Index i = 0; i < 4; ++i)
      if (out.tokens.value()[1] == batch.tokens.value()[i]) ++first[static_cast<std::size_t>(i)];
  }
  CHECK(first[0] == 0);
  for (int i = 1; i < 4; ++i) CHECK(std::abs(first[static_cast<std::size_t>(i)] - 1000) < 120);
}

TEST_CASE("ShuffleTokens: what follows computes the same, but for rounding", "[compress]") {
  constexpr nn::VitConfig vit{
      .image = 8, .patch = 2, .channels = 1, .dim = 16, .heads = 2, .depth = 3, .classes = 5};
  const auto part = nn::make_part<double>(vit, 1, 3, Rng{.seed = 3});
  Rng rng{.seed = 4};
  auto batch = random_batch<double>({.samples = 3, .tokens = vit.tokens(), .width = vit.dim}, rng);
  batch.tokens = Variable<double>::parameter(batch.tokens.value());
  const auto labels = std::vector<Index>{0, 3, 1};
  const auto learn = [&](const Variable<double>& tokens) {
    const auto loss = cross_entropy(part.logits(tokens), labels);
    backward(loss);
    return std::pair{loss.value()[0], batch.tokens.gradient().span().size()};
  };
  const auto [plain, size] = learn(batch.tokens);
  const Tensor<double> wanted{batch.tokens.shape(), batch.tokens.gradient().span()};
  batch.tokens.clear_gradient();
  CHECK(learn(ShuffleTokens{}(batch, rng).tokens).first == Approx(plain).epsilon(1e-12));
  for (std::size_t i = 0; i < size; ++i)
    CHECK(std::abs(batch.tokens.gradient().span()[i] - wanted.span()[i]) < 1e-12);
}

}  // namespace splitvit::compress
