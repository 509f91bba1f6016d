// SPDX-License-Identifier: MIT
// Models and counter-models of Codec.

#include <splitvit/codec/concepts.hpp>
#include <splitvit/codec/float32.hpp>
#include <splitvit/core/bytes.hpp>

#include "support/catch.hpp"

// Codecs as a stranger writes them: in another namespace, with nothing but the headers.
namespace stranger {

using splitvit::ByteReader;
using splitvit::ByteWriter;
using splitvit::Index;
using splitvit::Rng;
using splitvit::Shape;
using splitvit::Tensor;
using splitvit::TensorView;
using splitvit::codec::Decoded;
using splitvit::codec::NoContext;
using splitvit::codec::Pass;
using Out = std::vector<std::byte>;
using In = std::span<const std::byte>;

/// Sends the signs only, one byte each, and the gradient of those entries only that were not
/// negative: something to remember on both sides.
struct Signs {
  struct Sent {
    std::vector<bool> positive;
  };
  struct Received {
    std::vector<bool> positive;
  };

  Sent encode(TensorView<const float> x, Out& out, Rng&) const {
    Sent sent;
    for (const float value : x.span()) {
      sent.positive.push_back(value >= 0);
      out.push_back(static_cast<std::byte>(value >= 0));
    }
    return sent;
  }
  template <class T>
  Decoded<T, Received> decode(In in, const Shape& shape) const {
    Decoded<T, Received> result{Tensor<T>{shape}, {}};
    for (std::size_t i = 0; i < in.size(); ++i) {
      result.context.positive.push_back(in[i] != std::byte{0});
      result.values[static_cast<splitvit::Index>(i)] = in[i] != std::byte{0} ? T{1} : T{-1};
    }
    return result;
  }
  void encode_gradient(TensorView<const float> g, const Received& received, Out& out, Rng&) const {
    for (std::size_t i = 0; i < received.positive.size(); ++i)
      if (received.positive[i]) out.push_back(static_cast<std::byte>(g.span()[i] > 0));
  }
  template <class T>
  Tensor<T> decode_gradient(In in, const Sent& sent, const Shape& shape) const {
    Tensor<T> g{shape};
    std::size_t next = 0;
    for (std::size_t i = 0; i < sent.positive.size(); ++i)
      if (sent.positive[i]) g.span()[i] = in[next++] != std::byte{0} ? T{1} : T{0};
    return g;
  }
};

/// A codec in two functions: what it sends is the number of steps, and then the numbers.
struct Counting {
  int steps = 0;
  Index put(TensorView<const float> x, Pass, Out& out, Rng&) {
    out.push_back(static_cast<std::byte>(++steps));
    ByteWriter{out}.put_array(x.span());
    return 0;
  }
  template <class T>
  Tensor<T> get(ByteReader& reader, const Shape& shape, Pass) const {
    reader.get<std::uint8_t>();
    Tensor<T> x{shape};
    reader.get_array(x.span());
    return x;
  }
};

struct WithoutGradient {
  template <class T>
  NoContext encode(TensorView<const T>, Out&, Rng&) const {
    return {};
  }
  template <class T>
  Decoded<T, NoContext> decode(In, const Shape& shape) const {
    return {Tensor<T>{shape}, {}};
  }
};
struct WithoutContext : Signs {
  void encode(TensorView<const float>, Out&, Rng&) const {}
};
struct ReturnsNoTensor : Counting {
  template <class T>
  std::vector<T> get(ByteReader&, const Shape&, Pass) const {
    return {};
  }
};
struct CountsNothing : Counting {
  void put(TensorView<const float>, Pass, Out&, Rng&) {}
};
struct MixesContextsUp : Signs {
  template <class T>
  Tensor<T> decode_gradient(In, const Received&, const Shape& shape) const {
    return Tensor<T>{shape};
  }
};

}  // namespace stranger

namespace splitvit::codec {

static_assert(Codec<Float32, float> && Codec<Float32, double>);
static_assert(Codec<stranger::Signs, float>);
static_assert(Codec<stranger::Counting, float> && Format<stranger::Counting, float>);
static_assert(StraightThrough<stranger::Counting, float> &&
              !StraightThrough<stranger::Signs, float>);

static_assert(!Codec<stranger::Signs, double>);
static_assert(!Codec<const stranger::Counting, float>);
static_assert(!Codec<stranger::WithoutGradient, float>);
static_assert(!Codec<stranger::WithoutContext, float>);
static_assert(!Codec<stranger::ReturnsNoTensor, float>);
static_assert(!Codec<stranger::CountsNothing, float>);
static_assert(!Format<stranger::Signs, float>);
static_assert(!Codec<stranger::MixesContextsUp, float>);
static_assert(!Codec<int, float>);

static_assert(std::same_as<SenderContext<stranger::Signs, float>, stranger::Signs::Sent>);
static_assert(std::same_as<ReceiverContext<stranger::Signs, float>, stranger::Signs::Received>);

TEST_CASE("codecs: a stranger's codec with contexts", "[concepts]") {
  stranger::Signs codec;
  Rng rng;
  const Tensor<float> x{{4}, std::vector<float>{1, -2, 3, -4}};
  std::vector<std::byte> up, down;
  const auto sent = encode<float>(codec, x.view(), up, rng);
  const auto decoded = decode<float>(codec, up, x.shape());
  CHECK(decoded.values[1] == -1.0f);
  encode_gradient<float>(codec, x.view(), decoded.context, down, rng);
  CHECK(down.size() == 2);
  const auto gradient = decode_gradient<float>(codec, down, sent, x.shape());
  CHECK(gradient[0] == 1.0f);
  CHECK(gradient[1] == 0.0f);
}

TEST_CASE("codecs: a stranger's format", "[concepts]") {
  stranger::Counting format;
  Rng rng;
  const Tensor<float> x{{2}, std::vector<float>{1, -2}};
  std::vector<std::byte> up, down;
  const NoContext sent = encode<float>(format, x.view(), up, rng);
  const auto decoded = decode<float>(format, up, x.shape());
  CHECK(decoded.values[1] == -2.0f);
  encode_gradient<float>(format, x.view(), decoded.context, down, rng);
  CHECK(down[0] == std::byte{2});
  CHECK(decode_gradient<float>(format, down, sent, x.shape())[0] == 1.0f);
  down.push_back(std::byte{0});
  CHECK_THROWS_AS(decode_gradient<float>(format, down, sent, x.shape()), WireError);
}

}  // namespace splitvit::codec
