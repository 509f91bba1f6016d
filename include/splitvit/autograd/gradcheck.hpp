// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max
#include <cmath>      // abs, isnan

#include <splitvit/autograd/backward.hpp>  // backward
#include <splitvit/autograd/variable.hpp>  // Variable

namespace splitvit::inline SPLITVIT_BUILD {

struct GradcheckOptions {
  double step = 1e-5;       ///< how far each element is moved, both ways
  double tolerance = 1e-7;  ///< allowed difference, relative to the largest slope, at least 1
};

/// What gradcheck found; true where everything agreed.
struct GradcheckResult {
  double worst = 0;     ///< largest difference between slope and gradient, as `tolerance` counts it
  Index where = 0;      ///< element of x at which it is
  double slope = 0;     ///< by finite differences
  double gradient = 0;  ///< by backward()
  bool agrees = true;

  explicit operator bool() const { return agrees; }
};

/// Compares the gradient of `f` at x with central differences. f takes a Variable, returns one with
/// a single element, and is called 2 |x| + 1 times. Let it apply a second function to the tested
/// result, such as sum(square(...)): an incoming gradient of ones hides mistakes.
///
/// Errors  ShapeError if f returns more than one element.
template <class F>
GradcheckResult gradcheck(const F& f, const Tensor<double>& x,
                          const GradcheckOptions& options = {}) {
  const auto leaf = Variable<double>::parameter(x);
  backward(f(leaf));
  Tensor<double> slopes = Tensor<double>::uninitialised(x.shape());
  double largest = 1;
  for (Index i = 0; i < x.size(); ++i) {
    const auto moved = [&](double by) {
      Tensor<double> at = x;
      at[i] += by;
      return f(Variable<double>{std::move(at)}).value()[0];
    };
    slopes[i] = (moved(options.step) - moved(-options.step)) / (2 * options.step);
    largest = std::max(largest, std::abs(slopes[i]));
  }
  GradcheckResult result;
  for (Index i = 0; i < x.size(); ++i) {
    const double gradient = leaf.has_gradient() ? leaf.gradient()[i] : 0.0;
    const double difference = std::abs(slopes[i] - gradient) / largest;
    if (difference <= result.worst) continue;
    result = {difference, i, slopes[i], gradient, difference <= options.tolerance};
    if (std::isnan(difference)) break;  // nothing is worse
  }
  return result;
}

}  // namespace splitvit::inline SPLITVIT_BUILD
