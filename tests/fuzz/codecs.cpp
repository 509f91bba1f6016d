// SPDX-License-Identifier: MIT
// A tensor or a gradient from a stranger, for every codec that parse_codec knows: refused with
// WireError, or decoded to finite numbers of the announced shape that can be sent on.
// Input: u8 codec, of test::codec_texts(); u8 with bit 0 for gradients and bit 1 for double; u8
// each for B, N and D, 1 to 8; then the bytes that came.

#include <cstdint>  // uint8_t
#include <cstdlib>  // abort
#include <span>     // as_bytes, span
#include <string>   // string
#include <vector>   // vector

#include <splitvit/spec/codecs.hpp>  // AnyCodec, parse_codec

#include "support/codec_texts.hpp"  // codec_texts

namespace {

using splitvit::Rng;
using splitvit::Shape;
using splitvit::Tensor;

void require(bool condition) {
  if (!condition) std::abort();
}

template <class T>
void require_sound(const Tensor<T>& x, const Shape& shape) {
  require(x.shape() == shape && splitvit::all_finite(x.view()));
}

template <class T>
void decode(splitvit::codec::AnyCodec<T> codec, bool gradient, const Shape& shape,
            std::span<const std::byte> in) {
  Rng rng{.seed = 1};
  std::vector<std::byte> out;
  if (gradient) {
    Tensor<T> x{shape};
    for (T& value : x.span()) value = static_cast<T>(rng.normal());
    const auto sent = codec.encode(x.view(), out, rng);
    try {
      require_sound(codec.template decode_gradient<T>(in, sent, shape), shape);
    } catch (const splitvit::WireError&) {
    }
    return;
  }
  try {
    const auto came = codec.template decode<T>(in, shape);
    require_sound(came.values, shape);
    codec.encode_gradient(came.values.view(), came.context, out, rng);
    out.clear();
    codec.encode(came.values.view(), out, rng);
    require_sound(codec.template decode<T>(out, shape).values, shape);
  } catch (const splitvit::WireError&) {
  }
}

template <class T>
const std::vector<splitvit::codec::AnyCodec<T>>& all_codecs() {
  static const auto all = [] {
    std::vector<splitvit::codec::AnyCodec<T>> made;
    for (const std::string& text : splitvit::test::codec_texts())
      made.push_back(splitvit::spec::parse_codec<T>(text));
    return made;
  }();
  return all;
}

template <class T>
void decode(std::uint8_t number, bool gradient, const Shape& shape, std::span<const std::byte> in) {
  const auto& all = all_codecs<T>();
  decode<T>(all[number % all.size()], gradient, shape, in);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 5) return 0;
  const auto extent = [&](std::size_t i) { return splitvit::Index{data[i] % 8 + 1}; };
  const Shape shape{extent(2), extent(3), extent(4)};
  const auto in = std::as_bytes(std::span{data + 5, size - 5});
  const bool gradient = (data[1] & 1) != 0;
  if ((data[1] & 2) == 0)
    decode<float>(data[0], gradient, shape, in);
  else
    decode<double>(data[0], gradient, shape, in);
  return 0;
}
