// SPDX-License-Identifier: MIT
// Who borrows a tensor to read it cannot change it.
// error: read.only|const
#include <splitvit/tensor/tensor.hpp>

int main() {
  splitvit::Tensor<float> x{splitvit::Shape{2}};
#if SPLITVIT_MISUSE
  const splitvit::TensorView<const float> view = x.view();
#else
  const splitvit::TensorView<float> view = x.view();
#endif
  view[0] = 1.0f;
}
