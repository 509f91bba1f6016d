// SPDX-License-Identifier: MIT
// Only real numbers have gradients.
// error: constraints not satisfied|floating_point
#include <splitvit/autograd/variable.hpp>

#if SPLITVIT_MISUSE
using Value = int;
#else
using Value = double;
#endif

int main() { return sizeof(splitvit::Variable<Value>) == 0; }
