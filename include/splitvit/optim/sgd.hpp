// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/parallel.hpp>   // parallel_for
#include <splitvit/core/shape.hpp>      // Index
#include <splitvit/optim/concepts.hpp>  // not_negative

namespace splitvit::inline SPLITVIT_BUILD::optim {

/// Gradient descent: p = p - lr d. With weight_decay w the gradient counts as g + w p. Then
///
///   d = g                       without momentum
///   b = momentum b + g, d = b   with momentum; at first b = g (no dampening)
///   d = g + momentum b          with momentum and nesterov
///
/// Source  PyTorch, torch.optim.SGD.
struct Sgd {
  double lr = 1e-3;
  double momentum = 0.0;      ///< how much of b stays, at least 0; 0 keeps no b
  bool nesterov = false;      ///< looks one step ahead; needs momentum
  double weight_decay = 0.0;  ///< w

  std::span<const std::string_view> state_names() const {
    static constexpr std::array<std::string_view, 1> names = {"momentum"};
    return std::span<const std::string_view>{names}.first(momentum == 0.0 ? 0 : 1);
  }

  template <std::floating_point T>
  void update(std::uint64_t step, double rate, std::span<T> p, std::span<const T> g,
              std::span<const std::span<T>> state) const {
    const auto length = static_cast<T>(rate), w = static_cast<T>(weight_decay);
    const auto stays = static_cast<T>(momentum);
    T* const b = state.empty() ? nullptr : state[0].data();
    T* const values = p.data();
    const T* const slopes = g.data();
    parallel_for(static_cast<Index>(p.size()), 1 << 15, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        const T slope = slopes[i] + w * values[i];
        T direction = slope;
        if (b != nullptr) {
          b[i] = step == 1 ? slope : stays * b[i] + slope;
          direction = nesterov ? slope + stays * b[i] : b[i];
        }
        values[i] -= length * direction;
      }
    });
  }

  /// Errors  std::invalid_argument if an option is outside its range.
  void require_options() const {
    require_option("Sgd", "lr", lr, detail::not_negative);
    require_option("Sgd", "momentum", momentum, detail::not_negative);
    require_option("Sgd", "weight_decay", weight_decay, detail::not_negative);
    if (nesterov && momentum == 0.0)
      throw std::invalid_argument("Sgd: nesterov is set, but momentum is 0");
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::optim
