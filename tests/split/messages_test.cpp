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

constexpr split::ForwardLimits limits{.tokens = 5, .width = 16, .classes = 5, .bytes = 1 << 20};

}  // namespace

TEST_CASE("messages: a forward message comes back as it was sent", "[split]") {
  const std::vector<std::byte> labels(3, std::byte{9}), encoded(70, std::byte{7});
  const split::ForwardMessage sent{.samples = 4, .tokens = 5, .labels = labels, .encoded = encoded};
  std::vector<std::byte> payload;
  sent.put_header(payload);
  payload.insert(payload.end(), encoded.begin(), encoded.end());
  const auto came = split::ForwardMessage::read(payload, limits);
  CHECK(came.shape(16) == Shape{4, 5, 16});
  CHECK(came.labels.size() == 3);
  CHECK(came.encoded.size() == 70);
  // every cut of the header is refused
  for (std::size_t size = 0; size < split::ForwardMessage::header_bytes + 3; ++size)
    CHECK_THROWS_AS(split::ForwardMessage::read(std::span{payload}.first(size), limits), WireError);
}

TEST_CASE("messages: sizes travel as two bytes each, and are checked", "[split]") {
  const auto payload = [](const RecycledVector<Index>& sizes) {
    std::vector<std::byte> bytes;
    split::ForwardMessage{.samples = 3, .tokens = 5, .sizes = sizes, .labels = {}, .encoded = {}}
        .put_header(bytes);
    return bytes;
  };
  const auto read = [](std::span<const std::byte> bytes) {
    return split::ForwardMessage::read(bytes, limits).sizes;
  };
  const RecycledVector<Index> sizes{1, 65535, 7};
  CHECK(payload({}).size() == split::ForwardMessage::header_bytes);
  CHECK(payload(sizes).size() == split::ForwardMessage::header_bytes + 6);
  CHECK(read(payload({})).empty());
  CHECK(read(payload(sizes)) == sizes);
  CHECK_THROWS_WITH(payload({1, 65536, 1}), ContainsSubstring("65536 samples"));
  CHECK_THROWS_AS(payload({1, 0, 1}), std::invalid_argument);
  CHECK_THROWS_WITH(payload({1, 1}), ContainsSubstring("2 sizes for 3 samples"));
  auto marked = payload(sizes);
  CHECK_THROWS_AS(read(std::span{marked}.first(18)), WireError);
  marked[12] = std::byte{32};
  CHECK_THROWS_WITH(read(marked), ContainsSubstring("flags 32, wanted 0 to 31"));
  auto without = payload(sizes);
  without[13] = without[14] = std::byte{0};
  CHECK_THROWS_WITH(read(without), ContainsSubstring("a sample of size 0"));
}

TEST_CASE("messages: whether a gradient is wanted, and a codec wrote the numbers", "[split]") {
  for (const bool wants : {true, false})
    for (const bool coded : {true, false}) {
      std::vector<std::byte> bytes;
      split::ForwardMessage{.samples = 1, .tokens = 1, .wants_gradient = wants, .is_coded = coded}
          .put_header(bytes);
      CHECK(bytes.size() == split::ForwardMessage::header_bytes);
      const auto came = split::ForwardMessage::read(bytes, limits);
      CHECK(came.wants_gradient == wants);
      CHECK(came.is_coded == coded);
    }
}

TEST_CASE("messages: what share of a step a message is", "[split]") {
  const auto payload = [](const split::StepShare& share) {
    std::vector<std::byte> bytes;
    split::ForwardMessage{.samples = 2, .tokens = 1, .sizes = {3, 1}, .share = share}.put_header(
        bytes);
    return bytes;
  };
  const auto read = [](std::span<const std::byte> bytes) {
    return split::ForwardMessage::read(bytes, limits);
  };
  CHECK(read(payload({})).share == split::StepShare{});
  CHECK_FALSE(read(payload({})).share.is_part());
  CHECK(payload({}).size() + split::ForwardMessage::share_bytes == payload({4, 12}).size());
  const auto came = read(payload({4, 12}));
  CHECK(came.share == split::StepShare{4, 12});
  CHECK(came.share.weight() == 4.0 / 12);
  CHECK(came.sizes == RecycledVector<Index>{3, 1});
  CHECK(read(payload({12, 12})).share.weight() == 1.0);
  for (const split::StepShare wrong : {split::StepShare{0, 5}, split::StepShare{6, 5}})
    CHECK_THROWS_AS(payload(wrong), std::invalid_argument);

  constexpr std::size_t at = split::ForwardMessage::header_bytes;
  const auto whole = payload({4, 12});
  CHECK_THROWS_AS(read(std::span{whole}.first(at + 7)), WireError);
  for (const auto& [images, of_step] : {std::pair{0, 12}, {13, 12}, {0, 0}, {1, 0}}) {
    auto wrong = payload({4, 12});
    wrong[at] = static_cast<std::byte>(images);
    wrong[at + 4] = static_cast<std::byte>(of_step);
    CHECK_THROWS_WITH(read(wrong), ContainsSubstring("came, in a step of"));
  }
}

TEST_CASE("messages: sizes of tokens travel as a byte each, and are checked", "[split]") {
  std::vector<std::byte> sizes;
  split::put_token_sizes(test::tensor<float>({2, 3}, {1.0f, 2.5f, 254.6f, 1.0f, 300.0f, 2.0f}),
                         sizes);
  CHECK(std::ranges::equal(sizes, test::bytes_of({1, 3, 255, 1, 255, 2})));
  const auto payload = [](std::span<const std::byte> token_sizes) {
    std::vector<std::byte> bytes;
    split::ForwardMessage{.samples = 2,
                          .tokens = 3,
                          .sizes = {7, 8},
                          .token_sizes = token_sizes,
                          .labels = {},
                          .encoded = {}}
        .put_header(bytes);
    return bytes;
  };
  auto bytes = payload(sizes);
  CHECK(bytes.size() == split::ForwardMessage::header_bytes + 4 + 6);
  const auto came = split::ForwardMessage::read(bytes, limits);
  CHECK(came.sizes == std::vector<Index>{7, 8});
  CHECK(std::ranges::equal(came.token_sizes, sizes));
  const auto logs = came.log_token_sizes<double>();
  CHECK(logs.shape() == Shape{2, 3});
  CHECK(logs[0] == 0);
  CHECK(logs[5] == std::log(2.0));
  CHECK(split::ForwardMessage::read(payload({}), limits).log_token_sizes<float>().empty());
  CHECK_THROWS_WITH(payload(std::span{sizes}.first(5)), ContainsSubstring("5 sizes for 2 samples"));
  CHECK_THROWS_AS(split::ForwardMessage::read(std::span{bytes}.first(22), limits), WireError);
  bytes.back() = std::byte{0};
  CHECK_THROWS_WITH(split::ForwardMessage::read(bytes, limits),
                    ContainsSubstring("a token of size 0"));
}

TEST_CASE("messages: a shape is refused before memory is taken for it", "[split]") {
  const auto read = [](Index samples, Index tokens, std::uint64_t most) {
    std::vector<std::byte> payload;
    split::ForwardMessage{.samples = samples, .tokens = tokens, .labels = {}, .encoded = {}}
        .put_header(payload);
    return split::ForwardMessage::read(payload,
                                       {.tokens = 5, .width = 16, .classes = 5, .bytes = most});
  };
  CHECK_NOTHROW(read(4, 5, 4 * 5 * 16 * 4));
  CHECK_THROWS_AS(read(4, 5, 4 * 5 * 16 * 4 - 1), WireError);
  CHECK_THROWS_AS(read(Index{0xFFFFFFFF}, 5, 1 << 28), WireError);
  CHECK_THROWS_AS(read(1, Index{0xFFFFFFFF}, 1 << 28), WireError);
  // targets count, too
  std::vector<std::byte> payload;
  split::ForwardMessage{.samples = 4, .tokens = 1, .labels = {}, .encoded = {}}.put_header(payload);
  const auto with_classes = [&](Index classes) {
    return split::ForwardMessage::read(
        payload, {.tokens = 5, .width = 1, .classes = classes, .bytes = 4 * 100 * 4});
  };
  CHECK_NOTHROW(with_classes(100));
  CHECK_THROWS_AS(with_classes(101), WireError);
}

TEST_CASE("messages: backward messages and scores are checked", "[split]") {
  std::vector<std::byte> payload;
  split::BackwardMessage{.loss = 0.5, .seconds = 0.25}.put_header(payload);
  CHECK(payload.size() == split::BackwardMessage::header_bytes);
  payload.push_back(std::byte{7});
  const auto came = split::BackwardMessage::read(payload);
  CHECK(came.loss == 0.5);
  CHECK(came.seconds == 0.25);
  CHECK(came.encoded.size() == 1);
  CHECK_THROWS_AS(split::BackwardMessage::read(std::span{payload}.first(15)), WireError);
  for (const auto& wrong :
       {split::BackwardMessage{.loss = std::nan("")}, split::BackwardMessage{.seconds = -1.0},
        split::BackwardMessage{.seconds = std::nan("")}}) {
    payload.clear();
    wrong.put_header(payload);
    CHECK_THROWS_AS(split::BackwardMessage::read(payload), WireError);
  }

  const std::vector<bool> correct{true, false, true, true, false, false, false, false, true, true};
  const auto score = split::Score{.loss_sum = 2.5, .correct = correct}.payload();
  CHECK(score.size() == 10);
  CHECK(split::Score::read(score, 10).correct == correct);
  CHECK(split::Score::read(score, 10).loss_sum == 2.5);
  using test::reason_of;
  CHECK(reason_of<WireError>([&] { split::Score::read(score, 9); }) == Reason::malformed);
  CHECK(reason_of<WireError>([&] { split::Score::read(score, 8); }) == Reason::malformed);
  CHECK(reason_of<WireError>([&] { split::Score::read(score, 17); }) == Reason::truncated);
  CHECK(reason_of<WireError>([] {
          split::Score::read(split::Score{.loss_sum = std::nan("")}.payload(), 0);
        }) == Reason::not_finite);
}

TEST_CASE("messages: checkpoint messages are checked", "[split]") {
  using split::CheckpointMessage;
  using enum CheckpointMessage::Held;
  using test::reason_of;
  for (const auto held : {no, yes, never, with_turns}) {
    const auto payload = CheckpointMessage{.step = 7, .held = held, .every = 9}.payload();
    CHECK(CheckpointMessage::read(payload, 7).held == held);
    CHECK(CheckpointMessage::read(payload, 7).every == 9);
    CHECK(reason_of<WireError>([&] { CheckpointMessage::read(payload, 8); }) == Reason::wrong_step);
  }
  auto payload = CheckpointMessage{.step = 7}.payload();
  payload[8] = std::byte{4};
  CHECK(reason_of<WireError>([&] { CheckpointMessage::read(payload, 7); }) == Reason::malformed);
  payload.pop_back();
  CHECK(reason_of<WireError>([&] { CheckpointMessage::read(payload, 7); }) == Reason::truncated);
  payload.resize(18);
  CHECK_THROWS_AS(CheckpointMessage::read(payload, 7), WireError);
}

TEST_CASE("messages: weights fill a module or change nothing", "[split]") {
  const auto from = nn::make_part<float>(small_vit, 1, 3, Rng{.seed = 1});
  const auto into = nn::make_part<float>(small_vit, 1, 3, Rng{.seed = 2});
  const std::vector<std::byte> payload = split::weights_payload<float>(from);
  const auto before = test::numbers_of<float>(into);
  CHECK_THROWS_AS(split::read_weights<float>(std::span{payload}.first(payload.size() - 1), into),
                  WireError);
  CHECK_THROWS_AS(
      split::read_weights<float>(payload, nn::make_part<float>(small_vit, 2, 3, Rng{.seed = 2})),
      WireError);
  auto renamed =
      payload;  // a letter of the first name, behind the number of weights and its length
  renamed[8] ^= std::byte{1};
  CHECK_THROWS_AS(split::read_weights<float>(renamed, into), WireError);
  CHECK(test::numbers_of<float>(into) == before);
  split::read_weights<float>(payload, into);
  CHECK(test::numbers_of<float>(into) == test::numbers_of<float>(from));
}
