// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/gradcheck.hpp>       // gradcheck
#include <splitvit/autograd/ops/arithmetic.hpp>  // mul, square
#include <splitvit/autograd/ops/sum.hpp>         // sum

#include "support/numbers.hpp"  // drawn

// What gradients are tested behind.

namespace splitvit::test {

/// One number from a result, with another gradient for each element: sum(w y^2). A gradient of
/// ones would hide mistakes.
inline Variable<double> probe(const Variable<double>& y) {
  Rng rng{.seed = 77};
  return sum(mul(square(y), Variable<double>{drawn<double>(y.shape(), rng)}));
}

}  // namespace splitvit::test
