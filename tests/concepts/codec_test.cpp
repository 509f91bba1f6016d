// SPDX-License-Identifier: MIT
// Models and counter-models of Codec.

#include <splitvit/codec/concepts.hpp>
#include <splitvit/codec/float32.hpp>

#include "support/catch.hpp"

// Codecs as a stranger writes them: in another namespace, with nothing but the headers.
namespace stranger {

using splitvit::Rng;
using splitvit::Shape;
using splitvit::Tensor;
using splitvit::TensorView;
using splitvit::codec::Decoded;
using splitvit::codec::NoReceipt;
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
      result.receipt.positive.push_back(in[i] != std::byte{0});
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

/// A codec may remember between steps, if it says so by not being const.
struct Counting : splitvit::codec::Float32 {
  int steps = 0;
  NoReceipt encode(TensorView<const float> x, Out& out, Rng& rng) {
    ++steps;
    return Float32::encode(x, out, rng);
  }
};

struct WithoutGradient {
  template <class T>
  NoReceipt encode(TensorView<const T>, Out&, Rng&) const {
    return {};
  }
  template <class T>
  Decoded<T, NoReceipt> decode(In, const Shape& shape) const {
    return {Tensor<T>{shape}, {}};
  }
};
struct WithoutReceipt : splitvit::codec::Float32 {
  template <class T>
  void encode(TensorView<const T>, Out&, Rng&) const {}
};
struct ReturnsNoTensor : splitvit::codec::Float32 {
  template <class T>
  std::vector<T> decode(In, const Shape&) const {
    return {};
  }
};
struct MixesReceiptsUp : Signs {
  template <class T>
  Tensor<T> decode_gradient(In, const Received&, const Shape& shape) const {
    return Tensor<T>{shape};
  }
};

}  // namespace stranger

namespace splitvit::codec {

static_assert(Codec<Float32, float> && Codec<Float32, double>);
static_assert(Codec<stranger::Signs, float>);
static_assert(Codec<stranger::Counting, float>);

static_assert(!Codec<stranger::Signs, double>);
static_assert(!Codec<const stranger::Counting, float>);
static_assert(!Codec<stranger::WithoutGradient, float>);
static_assert(!Codec<stranger::WithoutReceipt, float>);
static_assert(!Codec<stranger::ReturnsNoTensor, float>);
static_assert(!Codec<stranger::MixesReceiptsUp, float>);
static_assert(!Codec<int, float>);

static_assert(std::same_as<SenderReceipt<stranger::Signs, float>, stranger::Signs::Sent>);
static_assert(std::same_as<ReceiverReceipt<stranger::Signs, float>, stranger::Signs::Received>);

TEST_CASE("codecs: a stranger's codec with receipts", "[concepts]") {
  stranger::Signs codec;
  Rng rng;
  const Tensor<float> x{{4}, std::vector<float>{1, -2, 3, -4}};
  std::vector<std::byte> up, down;
  const auto sent = codec.encode(x.view(), up, rng);
  const auto decoded = codec.decode<float>(up, x.shape());
  CHECK(decoded.values[1] == -1.0f);
  codec.encode_gradient(x.view(), decoded.receipt, down, rng);
  CHECK(down.size() == 2);
  const auto gradient = codec.decode_gradient<float>(down, sent, x.shape());
  CHECK(gradient[0] == 1.0f);
  CHECK(gradient[1] == 0.0f);
}

}  // namespace splitvit::codec
