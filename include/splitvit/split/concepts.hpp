// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // convertible_to, floating_point

#include <splitvit/core/labels.hpp>    // Labels
#include <splitvit/tensor/tensor.hpp>  // Tensor

// BatchSource: what a client requires of its source of data.

namespace splitvit::split {

/// Batches, one after the other, such as an epoch of data::Loader.
///
///   expression     returns                 meaning
///   source.next()  something like          the next batch, or nothing at the end;
///                  std::optional<Batch>    batch.images (B, channels, H, W) and
///                                          batch.labels: Labels of B rows, or B
///                                          class ids
template <class S, class T>
concept BatchSource = std::floating_point<T> && requires(S& source) {
  static_cast<bool>(source.next());
  { (*source.next()).images } -> std::convertible_to<const Tensor<T>&>;
  { (*source.next()).labels } -> std::convertible_to<Labels>;
};

}  // namespace splitvit::split
