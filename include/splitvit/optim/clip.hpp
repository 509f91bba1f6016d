// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>      // isfinite, sqrt
#include <concepts>   // floating_point
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <utility>    // pair
#include <vector>     // vector

#include <splitvit/autograd/variable.hpp>   // Variable
#include <splitvit/tensor/elementwise.hpp>  // scale
#include <splitvit/tensor/reduce.hpp>       // sum_of_squares

// clip_gradients: limits the norm of the gradients.

namespace splitvit::optim {

/// Scales all gradients by min(1, max_norm / (norm + 1e-6)), where norm is the 2-norm of all of
/// them together, and returns the norm before scaling. Parameters without a gradient count as zero.
/// A norm that is not finite is returned, and the gradients are left as they are.
///
/// Errors  std::invalid_argument unless max_norm is above 0.
/// Source  PyTorch, torch.nn.utils.clip_grad_norm_.
template <std::floating_point T>
double clip_gradients(const std::vector<std::pair<std::string, Variable<T>>>& parameters,
                      double max_norm) {
  if (!(max_norm > 0.0))
    throw std::invalid_argument("clip_gradients: max_norm is " + std::to_string(max_norm) +
                                ", wanted above 0");
  double sum = 0.0;
  for (const auto& [name, parameter] : parameters)
    if (parameter.has_gradient()) sum += sum_of_squares<T>(parameter.gradient().view());
  const double norm = std::sqrt(sum);
  const double factor = max_norm / (norm + 1e-6);
  if (factor < 1.0 && std::isfinite(norm))
    for (const auto& [name, parameter] : parameters)
      if (parameter.has_gradient())
        parameter.mutable_gradient() = scale(parameter.gradient(), static_cast<T>(factor));
  return norm;
}

}  // namespace splitvit::optim
