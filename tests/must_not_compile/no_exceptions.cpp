// SPDX-License-Identifier: MIT
// Errors are exceptions.
// misuse: -fno-exceptions
// error: compile without -fno-exceptions
#include <splitvit/tensor/tensor.hpp>

int main() { return static_cast<int>(splitvit::Tensor<float>{}.size()); }
