// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>   // byte, size_t
#include <limits>    // numeric_limits
#include <optional>  // optional
#include <span>      // span
#include <vector>    // vector

#include <splitvit/codec/concepts.hpp>  // Decoded, ReceiverContext, SenderContext
#include <splitvit/core/error.hpp>      // Reason, WireError
#include <splitvit/core/random.hpp>     // Rng
#include <splitvit/tensor/reduce.hpp>   // all_finite
#include <splitvit/tensor/tensor.hpp>   // Tensor

#include "support/bytes.hpp"    // reason_of
#include "support/catch.hpp"    // CHECK
#include "support/numbers.hpp"  // drawn, equal_bits

// What every codec must keep, whatever it does.

namespace splitvit::test {

/// A tensor through a codec in the forward pass, and a gradient in the backward pass.
template <class T, class C>
struct Trip {
  std::vector<std::byte> up, down;
  codec::SenderContext<C, T> sent;
  codec::Decoded<T, codec::ReceiverContext<C, T>> came;
  Tensor<T> gradient;
};

/// The same codec stands at both ends.
template <class T, class C>
Trip<T, C> make_trip(C codec, const Tensor<T>& x, const Tensor<T>& g, Rng rng = {.seed = 11}) {
  std::vector<std::byte> up, down;
  auto sent = codec::encode<T>(codec, x.view(), up, rng);
  auto came = codec::decode<T>(codec, up, x.shape());
  codec::encode_gradient<T>(codec, g.view(), came.context, down, rng);
  auto gradient = codec::decode_gradient<T>(codec, down, sent, g.shape());
  return {std::move(up), std::move(down), std::move(sent), std::move(came), std::move(gradient)};
}

/// Squared error over squared size.
template <class T>
double relative_error(const Tensor<T>& ours, const Tensor<T>& theirs) {
  REQUIRE(ours.shape() == theirs.shape());
  double error = 0, size = 0;
  for (Index i = 0; i < ours.size(); ++i) {
    const auto a = static_cast<double>(ours[i]), b = static_cast<double>(theirs[i]);
    error += (a - b) * (a - b);
    size += b * b;
  }
  return error / size;
}

/// Bytes that were cut, extended or damaged are refused with WireError, or decoded to finite
/// numbers of the announced shape.
template <class Decode>
void check_damaged(const std::vector<std::byte>& bytes, const Shape& shape, const Decode& decode) {
  const auto accepted = [&](std::span<const std::byte> in) {
    try {
      const auto x = decode(in);
      CHECK(x.shape() == shape);
      CHECK(all_finite(x.view()));
      return true;
    } catch (const WireError&) {
      return false;
    }
  };
  CHECK(accepted(bytes));
  for (std::size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / 200)
    CHECK_FALSE(accepted(std::span{bytes}.first(size)));
  auto longer = bytes;
  longer.push_back(std::byte{0});
  CHECK_FALSE(accepted(longer));
  Rng rng{.seed = 3};
  for (int i = 0; i < 300; ++i) {
    auto damaged = bytes;
    for (Index hits = 1 + rng.below(3); hits > 0; --hits)
      damaged[at(rng.below(static_cast<Index>(bytes.size())))] = static_cast<std::byte>(rng.bits());
    accepted(damaged);
  }
}

/// What a codec owes its peers: shapes, equal bytes for equal seeds, hostile bytes, no NaN.
template <class T, class C>
void check_laws(const C& codec, const Shape& shape) {
  Rng rng{.seed = 21};
  const auto x = drawn<T>(shape, rng), g = drawn<T>(shape, rng);
  const auto trip = make_trip<T>(codec, x, g), again = make_trip<T>(codec, x, g);
  CHECK(trip.came.values.shape() == shape);
  CHECK(trip.gradient.shape() == shape);
  CHECK(all_finite(trip.came.values.view()));
  CHECK(all_finite(trip.gradient.view()));
  CHECK(trip.up == again.up);
  CHECK(trip.down == again.down);
  CHECK(equal_bits(trip.came.values, again.came.values));
  CHECK(equal_bits(trip.gradient, again.gradient));

  C copy = codec;
  check_damaged(trip.up, shape, [&](auto in) { return codec::decode<T>(copy, in, shape).values; });
  check_damaged(trip.down, shape,
                [&](auto in) { return codec::decode_gradient<T>(copy, in, trip.sent, shape); });

  for (const T bad : {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity()}) {
    auto spoilt = x;
    spoilt[spoilt.size() - 1] = bad;
    std::vector<std::byte> out{std::byte{9}};
    CHECK(reason_of([&] { codec::encode<T>(copy, spoilt.view(), out, rng); }) ==
          Reason::not_finite);
    CHECK(reason_of([&] {
            codec::encode_gradient<T>(copy, spoilt.view(), trip.came.context, out, rng);
          }) == Reason::not_finite);
    CHECK(out.size() == 1);
  }
}

/// Numbers as large and as small as there are come back finite.
template <class T, class C>
void check_extremes(const C& codec, const Shape& shape) {
  using Limits = std::numeric_limits<T>;
  Rng rng{.seed = 22};
  for (const T size : {Limits::max(), Limits::max() / 2, Limits::min(), Limits::denorm_min()}) {
    Tensor<T> x{shape};
    for (T& value : x.span()) value = rng.below(2) == 0 ? size : -size;
    const auto trip = make_trip<T>(codec, x, x);
    CHECK(all_finite(trip.came.values.view()));
    CHECK(all_finite(trip.gradient.view()));
  }
}

}  // namespace splitvit::test
