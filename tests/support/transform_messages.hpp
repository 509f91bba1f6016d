// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/codec/transform.hpp>  // Transform
#include <splitvit/core/random.hpp>      // Rng
#include <splitvit/tensor/tensor.hpp>    // Tensor

// A short session of a Transform, for the fuzzer and the program that makes its first inputs.

namespace splitvit::test {

/// With a basis of its own for each `kind`, and a new one every second message.
inline codec::Transform transform_of(unsigned kind) {
  constexpr codec::Basis all[] = {codec::Basis::klt, codec::Basis::channel, codec::Basis::none,
                                  codec::Basis::klt};
  return {.step = 0.5, .basis = all[kind % 4], .refresh = 2};
}

/// The tokens of a message; they do not depend on those before.
template <class T>
Tensor<T> message_tokens(const Shape& shape, int message) {
  Rng rng{.seed = 1, .position = static_cast<std::uint64_t>(message) << 32};
  Tensor<T> x{shape};
  for (T& value : x.span()) value = static_cast<T>(rng.normal());
  return x;
}

}  // namespace splitvit::test
