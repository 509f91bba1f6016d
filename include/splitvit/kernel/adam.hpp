// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min

#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/kernel/simd.hpp>    // Pack, sqrt, transform

namespace splitvit::inline SPLITVIT_BUILD::kernel {

/// The constants of one step, computed in double precision from the options.
struct AdamStep {
  double beta1;         ///< m = beta1 m + (1 - beta1) g
  double beta2;         ///< v = beta2 v + (1 - beta2) g^2
  double epsilon;       ///< added outside the square root
  double l2;            ///< g counts as g + l2 p
  double shrink;        ///< p is first multiplied by this
  double length;        ///< lr / (1 - beta1^step)
  double root_divisor;  ///< sqrt(1 - beta2^step)
};

/// One step of Adam for values p with gradient g and moments m and v, all of one length:
/// p = shrink p - length m / (sqrt(v) / root_divisor + epsilon), with the new m and v.
///
/// Source  PyTorch, torch/optim/adam.py and adamw.py, the version without foreach.
template <std::floating_point T>
void adam_update(std::span<T> p, std::span<const T> g, std::span<T> m, std::span<T> v,
                 const AdamStep& step) {
  using P = Pack<T>;
  const auto number = [](double value) { return static_cast<T>(value); };
  const T beta1 = number(step.beta1), rest1 = number(1.0 - step.beta1);
  const T beta2 = number(step.beta2), rest2 = number(1.0 - step.beta2);
  const T epsilon = number(step.epsilon), l2 = number(step.l2), shrink = number(step.shrink);
  const T length = number(step.length), root_divisor = number(step.root_divisor);
  constexpr Index block = 1024;  // fits into the first-level cache
  parallel_for(static_cast<Index>(p.size()), 16 * block, [&](Index begin, Index end) {
    for (Index i = begin; i < end; i += block) {
      const Index n = std::min(block, end - i);
      T *const pi = p.data() + i, *const mi = m.data() + i, *const vi = v.data() + i;
      const T* const gi = g.data() + i;
      transform<T>(
          n, mi,
          [=](const P& old, const P& slope, const P& weight) {
            return P(beta1) * old + P(rest1) * (slope + P(l2) * weight);
          },
          mi, gi, pi);
      transform<T>(
          n, vi,
          [=](const P& old, const P& slope, const P& weight) {
            const P decayed = slope + P(l2) * weight;
            return P(beta2) * old + P(rest2) * (decayed * decayed);
          },
          vi, gi, pi);
      transform<T>(
          n, pi,
          [=](const P& weight, const P& mean, const P& square) {
            const P root = quotient(kernel::sqrt(square), P(root_divisor));
            return P(shrink) * weight - quotient(P(length) * mean, root + P(epsilon));
          },
          pi, mi, vi);
    }
  });
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
