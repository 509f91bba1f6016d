// SPDX-License-Identifier: MIT
// A stranger's program. Built from each kind of project, under strict warnings, after the macros
// that some systems' headers define.
#include <bits/stdc++.h>
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))

#if __has_include(<splitvit/splitvit.hpp>)
#include <splitvit/splitvit.hpp>
#endif
#include <splitvit/tensor/tensor.hpp>
#include <splitvit/version.hpp>

int main() {
  const auto x = splitvit::Tensor<float>::full({2, 3}, 1.5f);
  float sum = 0.0f;
  for (const float value : x.span()) sum += value;
  std::printf("splitvit %d.%d.%d: %g\n", SPLITVIT_VERSION_MAJOR, SPLITVIT_VERSION_MINOR,
              SPLITVIT_VERSION_PATCH, static_cast<double>(sum));
  return sum == 9.0f ? 0 : 1;
}
