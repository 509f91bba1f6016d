// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // min
#include <concepts>     // floating_point
#include <span>         // span
#include <type_traits>  // decay_t

#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/kernel/simd.hpp>    // transform, sqrt

// One step of Adam over a whole parameter: p its values, g its gradient, m and v the moments.

namespace splitvit::kernel {

/// The numbers of one step, computed in double precision from the options.
struct AdamStep {
  double beta1;         ///< m = beta1 m + (1 - beta1) g
  double beta2;         ///< v = beta2 v + (1 - beta2) g^2
  double epsilon;       ///< added outside the square root
  double l2;            ///< g counts as g + l2 p
  double shrink;        ///< p is first multiplied by this
  double length;        ///< lr / (1 - beta1^step)
  double root_divisor;  ///< sqrt(1 - beta2^step)
};

/// p = shrink p - length m / (sqrt(v) / root_divisor + epsilon), with the new m and v.
///
/// Shapes  all four of one length.
/// Source  PyTorch, torch/optim/adam.py and adamw.py, the version without foreach.
template <std::floating_point T>
void adam_update(std::span<T> p, std::span<const T> g, std::span<T> m, std::span<T> v,
                 const AdamStep& step) {
  const auto number = [](double value) { return static_cast<T>(value); };
  const T beta1 = number(step.beta1), rest1 = number(1.0 - step.beta1);
  const T beta2 = number(step.beta2), rest2 = number(1.0 - step.beta2);
  const T epsilon = number(step.epsilon), l2 = number(step.l2), shrink = number(step.shrink);
  const T length = number(step.length), root_divisor = number(step.root_divisor);
  constexpr Index block = 1024;  // fits into the first-level cache
  parallel_for(static_cast<Index>(p.size()), 16 * block, [&](Index begin, Index end) {
    for (Index i = begin; i < end; i += block) {
      const Index n = std::min(block, end - i);
      T* const pi = p.data() + i;
      const T* const gi = g.data() + i;
      T* const mi = m.data() + i;
      T* const vi = v.data() + i;
      transform<T>(
          n, mi,
          [=](const auto& old, const auto& slope, const auto& weight) {
            using P = std::decay_t<decltype(old)>;
            return P(beta1) * old + P(rest1) * (slope + P(l2) * weight);
          },
          mi, gi, pi);
      transform<T>(
          n, vi,
          [=](const auto& old, const auto& slope, const auto& weight) {
            using P = std::decay_t<decltype(old)>;
            const P decayed = slope + P(l2) * weight;
            return P(beta2) * old + P(rest2) * (decayed * decayed);
          },
          vi, gi, pi);
      transform<T>(
          n, pi,
          [=](const auto& weight, const auto& mean, const auto& square) {
            using P = std::decay_t<decltype(weight)>;
            return P(shrink) * weight -
                   P(length) * mean / (sqrt(square) / P(root_divisor) + P(epsilon));
          },
          pi, mi, vi);
    }
  });
}

}  // namespace splitvit::kernel
