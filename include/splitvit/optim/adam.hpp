// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>  // pow, sqrt

#include <splitvit/kernel/adam.hpp>     // adam_update
#include <splitvit/optim/concepts.hpp>  // not_negative

namespace splitvit::inline SPLITVIT_BUILD::optim {

namespace detail {
inline constexpr std::array<std::string_view, 2> adam_state = {"m", "v"};

/// The common part of Adam and AdamW. Only l2 and shrink differ.
template <std::floating_point T>
void adam_update(const auto& rule, std::uint64_t step, double lr, double l2, double shrink,
                 std::span<T> p, std::span<const T> g, std::span<const std::span<T>> state) {
  const auto power = static_cast<double>(step);
  kernel::adam_update<T>(p, g, state[0], state[1],
                         {.beta1 = rule.beta1,
                          .beta2 = rule.beta2,
                          .epsilon = rule.eps,
                          .l2 = l2,
                          .shrink = shrink,
                          .length = lr / (1.0 - std::pow(rule.beta1, power)),
                          .root_divisor = std::sqrt(1.0 - std::pow(rule.beta2, power))});
}

inline void require_adam_options(const auto& rule) {
  constexpr Real decay{0, 1, "", false, true};
  require_option("Adam", "lr", rule.lr, not_negative);
  require_option("Adam", "beta1", rule.beta1, decay);
  require_option("Adam", "beta2", rule.beta2, decay);
  require_option("Adam", "eps", rule.eps, not_negative);
  require_option("Adam", "weight_decay", rule.weight_decay, not_negative);
}
}  // namespace detail

/// Adam: steps of about lr. With weight_decay w, w p is added to the gradient (L2).
///
///   m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
///   p = p - lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps)
///
/// Source  PyTorch, torch.optim.Adam.
struct Adam {
  double lr = 1e-3;
  double beta1 = 0.9;         ///< how much of m stays, in [0, 1)
  double beta2 = 0.999;       ///< how much of v stays, in [0, 1)
  double eps = 1e-8;          ///< keeps the quotient finite where v is 0
  double weight_decay = 0.0;  ///< w

  std::span<const std::string_view> state_names() const { return detail::adam_state; }

  template <std::floating_point T>
  void update(std::uint64_t step, double rate, std::span<T> p, std::span<const T> g,
              std::span<const std::span<T>> state) const {
    detail::adam_update(*this, step, rate, weight_decay, 1.0, p, g, state);
  }

  /// Errors  std::invalid_argument if an option is outside its range.
  void require_options() const { detail::require_adam_options(*this); }
};

/// AdamW: Adam, but weight decay w acts on the parameter alone: first p = (1 - lr w) p.
/// Source  PyTorch, torch.optim.AdamW.
struct AdamW {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;  ///< w

  std::span<const std::string_view> state_names() const { return detail::adam_state; }

  template <std::floating_point T>
  void update(std::uint64_t step, double rate, std::span<T> p, std::span<const T> g,
              std::span<const std::span<T>> state) const {
    detail::adam_update(*this, step, rate, 0.0, 1.0 - rate * weight_decay, p, g, state);
  }

  /// Errors  std::invalid_argument if an option is outside its range.
  void require_options() const { detail::require_adam_options(*this); }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::optim
