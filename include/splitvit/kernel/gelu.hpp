// SPDX-License-Identifier: MIT
#pragma once

#include <numbers>  // sqrt2, inv_sqrtpi

#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/kernel/simd.hpp>    // transform, erf, exp

// GELU in its exact form, x/2 (1 + erf(x / sqrt 2)), over n numbers.

namespace splitvit::kernel {

inline constexpr Index gelu_grain = 1 << 14;

template <class T>
void gelu_forward(const T* x, T* y, Index n) {
  parallel_for(n, gelu_grain, [&](Index begin, Index end) {
    transform<T>(
        end - begin, y + begin,
        [](const auto& v) {
          using P = std::decay_t<decltype(v)>;
          return P(T(0.5)) * v * (P(T{1}) + erf(v * P(T(1 / std::numbers::sqrt2))));
        },
        x + begin);
  });
}

/// dx = dy (Phi(x) + x phi(x)), with Phi and phi of the normal distribution.
template <class T>
void gelu_backward(const T* x, const T* dy, T* dx, Index n) {
  parallel_for(n, gelu_grain, [&](Index begin, Index end) {
    transform<T>(
        end - begin, dx + begin,
        [](const auto& v, const auto& g) {
          using P = std::decay_t<decltype(v)>;
          const P cumulative = P(T(0.5)) * (P(T{1}) + erf(v * P(T(1 / std::numbers::sqrt2))));
          const P density =
              P(T(std::numbers::inv_sqrtpi / std::numbers::sqrt2)) * exp(v * v * P(T(-0.5)));
          return g * (cumulative + v * density);
        },
        x + begin, dy + begin);
  });
}

}  // namespace splitvit::kernel
