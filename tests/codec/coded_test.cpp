// SPDX-License-Identifier: MIT
#include <optional>
#include <stdexcept>
#include <vector>

#include <splitvit/codec/coded.hpp>
#include <splitvit/core/parallel.hpp>
#include <splitvit/core/state.hpp>

#include "codec/laws.hpp"
#include "support/catch.hpp"

namespace splitvit::codec {
namespace {

using Bytes = std::vector<std::byte>;

constexpr RangePer ranges[] = {RangePer::tensor, RangePer::sample, RangePer::token,
                               RangePer::channel};

Bytes encoded(auto& codec, const Tensor<float>& x, Rng rng = {}) {
  Bytes out;
  encode<float>(codec, x.view(), out, rng);
  return out;
}

/// Tokens whose channels have means of their own.
Tensor<float> tokens(const Shape& shape, Rng& rng) {
  auto x = test::drawn<float>(shape, rng);
  for (Index i = 0; i < x.size(); ++i) x[i] += static_cast<float>(i % shape.back() % 5);
  return x;
}

}  // namespace

static_assert(Codec<Coded, float> && Codec<Coded, double> && Described<Coded>);
static_assert(StraightThrough<Coded, float>);

TEMPLATE_TEST_CASE("Coded: keeps the laws of codecs", "[codec]", float, double) {
  using T = TestType;
  for (const RangePer range : ranges)
    for (const int bits : {1, 4, 9, 16})
      for (const Shape& shape : {Shape{4, 5, 7}, Shape{1, 1, 3}, Shape{2, 9, 1}, Shape{6}}) {
        const Coded codec{.inner = {.bits = bits, .range = range, .gradient_range = range}};
        CAPTURE(codec.description(), shape.text());
        test::check_laws<T>(codec, shape);
        test::check_extremes<T>(codec, shape);
      }
}

TEMPLATE_TEST_CASE("Coded: gives the bits of Quantise, step after step", "[codec]", float, double) {
  using T = TestType;
  for (const RangePer range : ranges)
    for (const Rounding rounding : {Rounding::nearest, Rounding::stochastic}) {
      const Quantise plain{.bits = 4, .gradient_bits = 6, .range = range, .rounding = rounding};
      Coded client{.inner = plain}, server = client;
      Rng rng{.seed = 1};
      for (int step = 0; step < 4; ++step) {
        auto x = test::drawn<T>({3, 6, 8}, rng);
        if (step == 2)
          for (Index i = 0; i < 8; ++i) x[i] = 3;  // a token without codes
        const auto g = test::drawn<T>({3, 6, 8}, rng);
        const auto wanted = test::make_trip<T>(plain, x, g);
        Bytes up, down;
        Rng same{.seed = 11};
        const auto sent = encode<T>(client, x.view(), up, same);
        const auto came = decode<T>(server, up, x.shape());
        encode_gradient<T>(server, g.view(), came.context, down, same);
        CHECK(test::equal_bits(came.values, wanted.came.values));
        CHECK(test::equal_bits(decode_gradient<T>(client, down, sent, g.shape()), wanted.gradient));
      }
    }
}

TEST_CASE("Coded: fewer bytes than Quantise once the tables have learnt", "[codec]") {
  Rng rng{.seed = 2};
  const Quantise plain{.bits = 4};
  Coded codec{.inner = plain};
  std::size_t last = 0;
  for (int step = 0; step < 3; ++step) last = encoded(codec, tokens({32, 20, 48}, rng)).size();
  const std::size_t without = encoded(plain, tokens({32, 20, 48}, rng)).size();
  CHECK(static_cast<double>(last) < 0.92 * static_cast<double>(without));  // ranges are a quarter
}

TEST_CASE("Coded: the same bytes for any number of threads", "[codec]") {
  Rng rng{.seed = 3};
  const auto x = tokens({32, 40, 64}, rng);
  const auto run = [&](int threads) {
    return with_threads(threads, [&] {
      Coded codec{.inner = {.bits = 4}};
      Bytes all = encoded(codec, x);
      const Bytes more = encoded(codec, x);
      all.insert(all.end(), more.begin(), more.end());
      return all;
    });
  };
  const Bytes one = run(1);
  for (int threads = 2; threads <= 8; ++threads) CHECK(run(threads) == one);
}

TEST_CASE("Coded: a side that is out of step notices, and does not move", "[codec]") {
  Rng rng{.seed = 4};
  Coded client{.inner = {.bits = 4}}, server = client;
  const Shape shape{4, 6, 12};
  const Bytes first = encoded(client, tokens(shape, rng)),
              second = encoded(client, tokens(shape, rng));
  const auto reason = [&](Coded& by, const Bytes& bytes) {
    const auto before = state_bytes(by);
    const auto found = test::reason_of([&] { decode<float>(by, bytes, shape); });
    if (found) CHECK(state_bytes(by) == before);
    return found;
  };
  CHECK(reason(server, second) == Reason::wrong_step);
  CHECK(!reason(server, first));
  Coded other{.inner = {.bits = 4}};
  set_state_bytes(other, state_bytes(server));
  CHECK(!reason(server, second));
  CHECK(!reason(other, second));
  other.state.activations.received.chain.messages = 1;
  const auto noticed = reason(other, second);
  CHECK((noticed == Reason::bad_checksum || noticed == Reason::malformed));
  other.state.activations.received.model.means.pop_back();
  CHECK(reason(other, second) == Reason::wrong_step);
  // A shape that claims many codes, with few bytes.
  Coded whole{.inner = {.range = RangePer::tensor}};
  const Bytes bytes = encoded(whole, tokens({2, 3, 4}, rng));
  CHECK(test::reason_of([&] { decode<float>(whole, bytes, {Index{1} << 40, 3, 4}); }) ==
        Reason::truncated);
}

TEST_CASE("Coded: refuses what Quantise refuses", "[codec]") {
  Rng rng;
  Bytes out;
  const Tensor<float> x{{2, 3, 4}};
  Coded codec{.inner = {.bits = 17}};
  CHECK_THAT(
      test::text_of<std::invalid_argument>([&] { encode<float>(codec, x.view(), out, rng); }),
      ContainsSubstring("BITS is 17"));
}

}  // namespace splitvit::codec
