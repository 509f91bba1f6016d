// SPDX-License-Identifier: MIT
// A tensor holds numbers.
// error: static.assert
// error: is_arithmetic_v
#include <string>

#include <splitvit/tensor/tensor.hpp>

#if SPLITVIT_MISUSE
using Value = std::string;
#else
using Value = float;
#endif

int main() { return static_cast<int>(splitvit::Tensor<Value>{}.size()); }
