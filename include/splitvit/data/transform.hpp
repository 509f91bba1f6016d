// SPDX-License-Identifier: MIT
#pragma once

#include <functional>  // function

#include <splitvit/core/random.hpp>    // Rng
#include <splitvit/tensor/tensor.hpp>  // Tensor

namespace splitvit::inline SPLITVIT_BUILD::data {

/// Changes a training image at random, so that its label stays true.
///
///   expression             returns               meaning
///   transform(image, rng)  Tensor<std::uint8_t>  of image (channels, height, width); the channels
///                                                stay, height and width may change
///
/// It draws random numbers only from `rng`, which the loader derives from (seed, epoch, sample),
/// and may be called from several threads at once.
template <class F>
concept Transform =
    std::copy_constructible<F> && requires(const F& f, Tensor<std::uint8_t> image, Rng& rng) {
      { f(std::move(image), rng) } -> std::same_as<Tensor<std::uint8_t>>;
    };

/// Any transform, chosen while the program runs.
using AnyTransform = std::function<Tensor<std::uint8_t>(Tensor<std::uint8_t>, Rng&)>;

}  // namespace splitvit::inline SPLITVIT_BUILD::data
