// SPDX-License-Identifier: MIT
#include <array>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <splitvit/codec/any_codec.hpp>
#include <splitvit/codec/c3.hpp>
#include <splitvit/codec/cls_exact.hpp>
#include <splitvit/codec/float32.hpp>
#include <splitvit/codec/half.hpp>
#include <splitvit/codec/quantise.hpp>
#include <splitvit/codec/sl_acc.hpp>
#include <splitvit/codec/token_scaled.hpp>
#include <splitvit/codec/top_k.hpp>
#include <splitvit/codec/two_way.hpp>
#include <splitvit/core/state.hpp>
#include <splitvit/core/workspace.hpp>

#include "codec/laws.hpp"

namespace splitvit::codec {
namespace {

using test::make_trip;

/// A codec with state: it sends how many steps it has seen, too.
struct Counting {
  std::uint8_t steps = 0;

  NoContext encode(TensorView<const float> x, std::vector<std::byte>& out, Rng& rng) {
    out.push_back(static_cast<std::byte>(++steps));
    return codec::encode<float>(Float32{}, x, out, rng);
  }
  template <class T>
  Decoded<T, NoContext> decode(std::span<const std::byte> in, const Shape& shape) const {
    return codec::decode<T>(Float32{}, in.subspan(1), shape);
  }
  void encode_gradient(TensorView<const float> g, const NoContext&, std::vector<std::byte>& out,
                       Rng& rng) const {
    codec::encode<float>(Float32{}, g, out, rng);
  }
  template <class T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const NoContext&,
                            const Shape& shape) const {
    return codec::decode<T>(Float32{}, in, shape).values;
  }
};

/// A codec whose contexts are empty, but say that it was there; and that cannot be assigned.
struct Strict {
  struct Ticket {};
  const int id = 0;

  Ticket encode(TensorView<const float> x, std::vector<std::byte>& out, Rng& rng) const {
    codec::encode<float>(Float32{}, x, out, rng);
    return {};
  }
  template <class T>
  Decoded<T, NoContext> decode(std::span<const std::byte> in, const Shape& shape) const {
    if (in.empty()) throw std::domain_error("Strict: nothing there");
    return codec::decode<T>(Float32{}, in, shape);
  }
  void encode_gradient(TensorView<const float> g, const NoContext&, std::vector<std::byte>& out,
                       Rng& rng) const {
    codec::encode<float>(Float32{}, g, out, rng);
  }
  template <class T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const Ticket&,
                            const Shape& shape) const {
    return codec::decode<T>(Float32{}, in, shape).values;
  }
  std::string description() const { return "strict " + std::to_string(id); }
};

using Erased = AnyCodec<float>;

/// Where each vector of a thing's state lies.
std::vector<const double*> places(auto& thing) {
  std::vector<const double*> found;
  show_state(thing, [&]<class Value>(const std::string&, Value&& value) {
    if constexpr (std::same_as<std::remove_cvref_t<Value>, std::vector<double>>)
      found.push_back(value.data());
  });
  return found;
}

/// A codec with history in both directions.
Erased trained(Erased codec, std::uint64_t seed) {
  Rng rng{.seed = seed};
  const auto x = test::drawn<float>({2, 3, 8}, rng);
  std::vector<std::byte> up, down;
  encode<float>(codec, x.view(), up, rng);
  encode_gradient<float>(codec, x.view(), AnyContext{}, down, rng);
  return codec;
}

}  // namespace

static_assert(Codec<Erased, float> && Codec<AnyCodec<double>, double>);
static_assert(!Codec<Erased, double>);
static_assert(std::default_initializable<Erased>);

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
    encode<float>(codec, x.view(), out, rng);
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

TEST_CASE("AnyCodec: assigned a codec of its type, it keeps its memory", "[codec]") {
  const auto keeps = [](const Erased& codec) {
    Erased first = trained(codec, 1);
    const Erased second = trained(codec, 2);
    const auto before = places(first);
    CHECK(!before.empty());
    first = second;
    CHECK(places(first) == before);
    Erased copy = second;
    CHECK(state_bytes(first) == state_bytes(copy));
    first = *&first;
    CHECK(state_bytes(first) == state_bytes(copy));
  };
  keeps(SlAcc{});
  keeps(Erased{SlAcc{}});
  keeps(TokenScaled<Erased>{SlAcc{}});
  keeps(TwoWay<Erased, Erased>{SlAcc{}, SlAcc{}});

  Erased other = Float32{};
  other = trained(SlAcc{}, 1);
  CHECK(other.description() == SlAcc{}.description());
  Erased strict = Strict{1};
  strict = Erased{Strict{2}};
  CHECK(strict.description() == "strict 2");
  const Erased source = Strict{3};
  strict = source;
  CHECK(strict.description() == "strict 3");
  Erased gone = std::move(strict);
  strict = source;
  CHECK(strict.description() == gone.description());
}

TEST_CASE("AnyCodec: shows the state of the codec within", "[codec]") {
  const auto names = [](Erased codec) {
    std::vector<std::string> found;
    show_state(codec, [&](const std::string& name, auto&&) { found.push_back(name); });
    return found;
  };
  using Names = std::vector<std::string>;
  CHECK(names(Float32{}).empty());
  CHECK(names(C3{}).empty());
  CHECK(names(Counting{}).empty());
  CHECK(names(SlAcc{}) == Names{"history", "gradient_history"});
  CHECK(names(TokenScaled<Erased>{SlAcc{}}) == Names{"inner.history", "inner.gradient_history"});
  CHECK(names(TwoWay<SlAcc, SlAcc>{}) ==
        Names{"up.history", "up.gradient_history", "down.history", "down.gradient_history"});

  Erased codec = trained(SlAcc{}, 1), fresh = SlAcc{};
  set_state_bytes(fresh, state_bytes(codec));
  Rng rng{.seed = 9}, same = rng;
  const auto x = test::drawn<float>({2, 3, 8}, rng);
  std::vector<std::byte> first, second;
  encode<float>(codec, x.view(), first, same);
  encode<float>(fresh, x.view(), second, same);
  CHECK(first == second);
}

TEST_CASE("AnyCodec: contexts lie in the workspace in use", "[codec]") {
  struct Told {
    std::array<int, 100> values{};
  };
  const Workspace workspace;
  AnyContext outlives;
  {
    const Workspace::Use use{workspace};
    outlives = AnyContext{NoContext{}};
    outlives = AnyContext{NoContext{.saturated = 3}};
    CHECK(workspace.held() == 0);
    CHECK(outlives.saturated == 3);
    outlives = AnyContext{Told{{1, 2}}};
    CHECK(workspace.held() > 0);
  }
  const AnyContext copy = outlives;
  REQUIRE(copy.get<Told>() != nullptr);
  CHECK(copy.get<Told>()->values[1] == 2);
  CHECK(copy.get<NoContext>() == nullptr);
  CHECK(AnyContext{}.get<NoContext>() == nullptr);
}

TEST_CASE("AnyCodec: a stranger's codec, whose errors pass through", "[codec]") {
  Rng rng;
  const Tensor<float> x{{2}};
  Erased codec = Strict{1};
  std::vector<std::byte> up;
  CHECK_THROWS_WITH(decode<float>(codec, {}, {2}), ContainsSubstring("Strict: nothing there"));
  const auto sent = encode<float>(codec, x.view(), up, rng);
  CHECK(test::equal_bits(decode_gradient<float>(codec, up, sent, {2}), x));
  CHECK_THROWS_WITH(decode_gradient<float>(codec, up, AnyContext{}, {2}),
                    ContainsSubstring("no context of 'strict 1'"));
}

TEST_CASE("AnyCodec: contexts of another codec are refused", "[codec]") {
  Rng rng;
  const auto x = Tensor<float>::full({1, 4}, 1e9f);
  std::vector<std::byte> up, down;
  Erased sparse{TopK<>{}}, half{Float16{}}, plain{Float32{}};
  const auto sent = encode<float>(half, x.view(), up, rng);
  CHECK(saturated_values(sent) == 4);
  CHECK_THROWS_WITH(decode_gradient<float>(sparse, down, sent, {1, 4}),
                    ContainsSubstring("no context of 'topk"));
  CHECK_THROWS_AS(encode_gradient<float>(sparse, x.view(), AnyContext{}, down, rng),
                  std::invalid_argument);
  // A codec that needs none takes an empty one.
  encode_gradient<float>(plain, x.view(), AnyContext{}, down, rng);
  CHECK(test::equal_bits(decode_gradient<float>(plain, down, AnyContext{}, {1, 4}), x));
}

}  // namespace splitvit::codec
