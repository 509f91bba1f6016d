// SPDX-License-Identifier: MIT
#include <string>
#include <vector>

#include <splitvit/codec/any_codec.hpp>
#include <splitvit/codec/cls_exact.hpp>
#include <splitvit/codec/float32.hpp>
#include <splitvit/codec/half.hpp>
#include <splitvit/codec/quantise.hpp>
#include <splitvit/codec/token_scaled.hpp>
#include <splitvit/codec/top_k.hpp>
#include <splitvit/codec/two_way.hpp>

#include "codec/laws.hpp"

namespace splitvit::codec {
namespace {

using test::make_trip;

/// A codec with state: it sends how many steps it has seen, too.
struct Counting {
  std::uint8_t steps = 0;

  NoReceipt encode(TensorView<const float> x, std::vector<std::byte>& out, Rng& rng) {
    out.push_back(static_cast<std::byte>(++steps));
    return Float32{}.encode(x, out, rng);
  }
  template <class T>
  Decoded<T, NoReceipt> decode(std::span<const std::byte> in, const Shape& shape) const {
    return Float32{}.decode<T>(in.subspan(1), shape);
  }
  void encode_gradient(TensorView<const float> g, const NoReceipt&, std::vector<std::byte>& out,
                       Rng& rng) const {
    Float32{}.encode(g, out, rng);
  }
  template <class T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const NoReceipt&,
                            const Shape& shape) const {
    return Float32{}.decode<T>(in, shape).values;
  }
};

using Erased = AnyCodec<float>;

}  // namespace

static_assert(Codec<Erased, float> && Codec<AnyCodec<double>, double>);
static_assert(!Codec<Erased, double>);
static_assert(!std::default_initializable<Erased>);

TEMPLATE_TEST_CASE("AnyCodec: does what the codec within does", "[codec]", float, double) {
  using T = TestType;
  Rng rng{.seed = 1};
  const auto x = test::drawn<T>({2, 3, 8}, rng), g = test::drawn<T>({2, 3, 8}, rng);
  const auto same = [&](const auto& codec) {
    const auto plain = make_trip<T>(codec, x, g);
    const auto erased = make_trip<T>(AnyCodec<T>{codec}, x, g);
    CHECK(erased.up == plain.up);
    CHECK(erased.down == plain.down);
    CHECK(test::equal_bits(erased.came.values, plain.came.values));
    CHECK(test::equal_bits(erased.gradient, plain.gradient));
    CHECK(AnyCodec<T>{codec}.description() == describe(codec));
    CHECK(is_straight_through<T>(AnyCodec<T>{codec}) == is_straight_through<T>(codec));
  };
  same(Float32{});
  same(Quantise{.bits = 3});
  same(TopK<Quantise>{.rate = 0.5});
  same(ClsExact<TopK<>>{});
  same(TwoWay<AnyCodec<T>, Float16>{Quantise{}, {}});
  same(TokenScaled<AnyCodec<T>>{TopK<>{}});
  test::check_laws<T>(AnyCodec<T>{TopK<>{.rate = 0.5}}, {2, 3, 4});
}

TEST_CASE("AnyCodec: straight-through, or not", "[codec]") {
  CHECK(is_straight_through<float>(Erased{Quantise{}}));
  CHECK(is_straight_through<float>(Erased{Erased{Quantise{}}}));
  CHECK(!is_straight_through<float>(Erased{TopK<>{}}));
  CHECK(is_straight_through<float>(Erased{TokenScaled<Erased>{Quantise{}}}));
  CHECK(!is_straight_through<float>(Erased{TokenScaled<Erased>{TopK<>{}}}));
  CHECK(!is_straight_through<float>(Erased{ClsExact<Erased, Erased>{TopK<>{}, Float32{}}}));
  CHECK(!is_straight_through<float>(Erased{ClsExact<Erased, Erased>{Float32{}, TopK<>{}}}));
}

TEST_CASE("AnyCodec: a copy has its own state", "[codec]") {
  Rng rng;
  const Tensor<float> x{{2}};
  const auto first_byte = [&](Erased& codec) {
    std::vector<std::byte> out;
    codec.encode(x.view(), out, rng);
    return std::to_integer<int>(out[0]);
  };
  Erased codec{Counting{}};
  CHECK(first_byte(codec) == 1);
  Erased copy = codec;
  CHECK(first_byte(copy) == 2);
  CHECK(first_byte(codec) == 2);
  codec = copy;
  CHECK(first_byte(codec) == 3);
  CHECK(codec.description() == "custom");
}

TEST_CASE("AnyCodec: receipts of another codec are refused", "[codec]") {
  Rng rng;
  const auto x = Tensor<float>::full({1, 4}, 1e9f);
  std::vector<std::byte> up, down;
  Erased sparse{TopK<>{}}, half{Float16{}}, plain{Float32{}};
  const auto sent = half.encode(x.view(), up, rng);
  CHECK(saturated_values(sent) == 4);
  CHECK_THROWS_WITH(sparse.decode_gradient<float>(down, sent, {1, 4}),
                    ContainsSubstring("no receipt of 'top_k"));
  CHECK_THROWS_AS(sparse.encode_gradient(x.view(), AnyReceipt{}, down, rng), std::invalid_argument);
  // A codec that needs none takes an empty one.
  plain.encode_gradient(x.view(), AnyReceipt{}, down, rng);
  CHECK(test::equal_bits(plain.decode_gradient<float>(down, AnyReceipt{}, {1, 4}), x));
}

}  // namespace splitvit::codec
