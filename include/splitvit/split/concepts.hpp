// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // convertible_to, floating_point
#include <span>      // span

#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/tensor/tensor.hpp>  // Tensor

// BatchSource: what the client asks of whatever gives it data.

namespace splitvit::split {

/// Batches, one after the other, such as an epoch of data::Loader.
///
///   expression     returns                 meaning
///   source.next()  something like          the next batch, or nothing at the end;
///                  std::optional<Batch>    batch.images (B, channels, H, W) and
///                                          batch.labels, B class ids
template <class S, class T>
concept BatchSource = std::floating_point<T> && requires(S& source) {
  static_cast<bool>(source.next());
  { (*source.next()).images } -> std::convertible_to<const Tensor<T>&>;
  { (*source.next()).labels } -> std::convertible_to<std::span<const Index>>;
};

}  // namespace splitvit::split
