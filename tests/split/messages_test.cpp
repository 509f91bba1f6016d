// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include <splitvit/split/messages.hpp>

#include "split/loopback.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace splitvit;
using test::small_vit;

namespace {

constexpr split::ActivationLimits limits{.tokens = 5, .width = 16, .classes = 5, .bytes = 1 << 20};

}  // namespace

TEST_CASE("messages: activations come back as they were sent", "[split]") {
  const std::vector<std::byte> targets(3, std::byte{9}), encoded(70, std::byte{7});
  const split::Activations sent{
      .step = 12, .samples = 4, .tokens = 5, .targets = targets, .encoded = encoded};
  std::vector<std::byte> payload;
  sent.put_head(payload);
  payload.insert(payload.end(), encoded.begin(), encoded.end());
  const auto came = split::Activations::read(payload, limits);
  CHECK(came.step == 12);
  CHECK(came.shape(16) == Shape{4, 5, 16});
  CHECK(came.targets.size() == 3);
  CHECK(came.encoded.size() == 70);
  // every cut of the head is refused
  for (std::size_t size = 0; size < split::Activations::head_bytes + 3; ++size)
    CHECK_THROWS_AS(split::Activations::read(std::span{payload}.first(size), limits), WireError);
}

TEST_CASE("messages: sizes travel as two bytes each, and are checked", "[split]") {
  const auto payload = [](const RecycledVector<Index>& sizes) {
    std::vector<std::byte> bytes;
    split::Activations{
        .step = 1, .samples = 3, .tokens = 5, .sizes = sizes, .targets = {}, .encoded = {}}
        .put_head(bytes);
    return bytes;
  };
  const auto read = [](std::span<const std::byte> bytes) {
    return split::Activations::read(bytes, limits).sizes;
  };
  const RecycledVector<Index> sizes{1, 65535, 7};
  CHECK(payload({}).size() == split::Activations::head_bytes);
  CHECK(payload(sizes).size() == split::Activations::head_bytes + 6);
  CHECK(read(payload({})).empty());
  CHECK(read(payload(sizes)) == sizes);
  CHECK_THROWS_WITH(payload({1, 65536, 1}), ContainsSubstring("65536 samples"));
  CHECK_THROWS_AS(payload({1, 0, 1}), std::invalid_argument);
  CHECK_THROWS_WITH(payload({1, 1}), ContainsSubstring("2 sizes for 3 samples"));
  auto marked = payload(sizes);
  CHECK_THROWS_AS(read(std::span{marked}.first(26)), WireError);
  marked[20] = std::byte{4};
  CHECK_THROWS_WITH(read(marked), ContainsSubstring("is 4, wanted 0 to 3"));
  auto without = payload(sizes);
  without[21] = without[22] = std::byte{0};
  CHECK_THROWS_WITH(read(without), ContainsSubstring("a sample of size 0"));
}

TEST_CASE("messages: sizes of tokens travel as a byte each, and are checked", "[split]") {
  const auto sizes = split::token_size_bytes(
      test::tensor<float>({2, 3}, {1.0f, 2.5f, 254.6f, 1.0f, 300.0f, 2.0f}));
  CHECK(std::ranges::equal(sizes, test::bytes_of({1, 3, 255, 1, 255, 2})));
  const auto payload = [](std::span<const std::byte> token_sizes) {
    std::vector<std::byte> bytes;
    split::Activations{.step = 1,
                       .samples = 2,
                       .tokens = 3,
                       .sizes = {7, 8},
                       .token_sizes = token_sizes,
                       .targets = {},
                       .encoded = {}}
        .put_head(bytes);
    return bytes;
  };
  auto bytes = payload(sizes);
  CHECK(bytes.size() == split::Activations::head_bytes + 4 + 6);
  const auto came = split::Activations::read(bytes, limits);
  CHECK(came.sizes == std::vector<Index>{7, 8});
  CHECK(std::ranges::equal(came.token_sizes, sizes));
  const auto logs = came.log_token_sizes<double>();
  CHECK(logs.shape() == Shape{2, 3});
  CHECK(logs[0] == 0);
  CHECK(logs[5] == std::log(2.0));
  CHECK(split::Activations::read(payload({}), limits).log_token_sizes<float>().empty());
  CHECK_THROWS_WITH(payload(std::span{sizes}.first(5)), ContainsSubstring("5 sizes for 2 samples"));
  CHECK_THROWS_AS(split::Activations::read(std::span{bytes}.first(30), limits), WireError);
  bytes.back() = std::byte{0};
  CHECK_THROWS_WITH(split::Activations::read(bytes, limits),
                    ContainsSubstring("a token of size 0"));
}

TEST_CASE("messages: a shape is refused before memory is taken for it", "[split]") {
  const auto read = [](Index samples, Index tokens, std::uint64_t most) {
    std::vector<std::byte> payload;
    split::Activations{
        .step = 1, .samples = samples, .tokens = tokens, .targets = {}, .encoded = {}}
        .put_head(payload);
    return split::Activations::read(payload,
                                    {.tokens = 5, .width = 16, .classes = 5, .bytes = most});
  };
  CHECK_NOTHROW(read(4, 5, 4 * 5 * 16 * 4));
  CHECK_THROWS_AS(read(4, 5, 4 * 5 * 16 * 4 - 1), WireError);
  CHECK_THROWS_AS(read(Index{0xFFFFFFFF}, 5, 1 << 28), WireError);
  CHECK_THROWS_AS(read(1, Index{0xFFFFFFFF}, 1 << 28), WireError);
  // targets count, too
  std::vector<std::byte> payload;
  split::Activations{.step = 1, .samples = 4, .tokens = 1, .targets = {}, .encoded = {}}.put_head(
      payload);
  const auto with_classes = [&](Index classes) {
    return split::Activations::read(
        payload, {.tokens = 5, .width = 1, .classes = classes, .bytes = 4 * 100 * 4});
  };
  CHECK_NOTHROW(with_classes(100));
  CHECK_THROWS_AS(with_classes(101), WireError);
}

TEST_CASE("messages: gradients and scores are checked", "[split]") {
  std::vector<std::byte> payload;
  split::Gradient{.step = 3, .loss = 0.5, .seconds = 0.25, .encoded = {}}.put_head(payload);
  CHECK(payload.size() == split::Gradient::head_bytes);
  CHECK(split::Gradient::read(payload, 3).loss == 0.5);
  CHECK(split::Gradient::read(payload, 3).seconds == 0.25);
  CHECK_THROWS_WITH(split::Gradient::read(payload, 4), ContainsSubstring("it answers step 3"));
  payload.clear();
  split::Gradient{.step = 3, .loss = std::nan(""), .seconds = 0, .encoded = {}}.put_head(payload);
  CHECK_THROWS_AS(split::Gradient::read(payload, 3), WireError);

  const auto score = split::Score{.loss_sum = 2.5, .correct = 3}.payload();
  CHECK(split::Score::read(score, 3).correct == 3);
  CHECK(split::Score::read(score, 3).loss_sum == 2.5);
  CHECK_THROWS_AS(split::Score::read(score, 2), WireError);
}

TEST_CASE("messages: weights fill a module or change nothing", "[split]") {
  const auto from = nn::make_part<float>(small_vit, 1, 3, Rng{.seed = 1});
  const auto into = nn::make_part<float>(small_vit, 1, 3, Rng{.seed = 2});
  wire::PayloadWriter writer;
  split::put_weights<float>(writer, from);
  const std::vector<std::byte> payload = writer.gather();
  const auto before = test::numbers_of<float>(into);
  CHECK_THROWS_AS(split::read_weights<float>(std::span{payload}.first(payload.size() - 1), into),
                  WireError);
  CHECK_THROWS_AS(
      split::read_weights<float>(payload, nn::make_part<float>(small_vit, 2, 3, Rng{.seed = 2})),
      WireError);
  CHECK(test::numbers_of<float>(into) == before);
  split::read_weights<float>(payload, into);
  CHECK(test::numbers_of<float>(into) == test::numbers_of<float>(from));
}
