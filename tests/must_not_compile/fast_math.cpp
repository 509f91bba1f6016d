// SPDX-License-Identifier: MIT
// With -ffast-math a compiler may take NaN and infinity for numbers that do not exist.
// misuse: -ffast-math
// error: compile without -ffast-math
#include <splitvit/tensor/tensor.hpp>

int main() { return static_cast<int>(splitvit::Tensor<float>{}.size()); }
