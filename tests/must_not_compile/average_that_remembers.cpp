// SPDX-License-Identifier: MIT
// An averaging rule is shared by all tensors, so its add is const.
// error: AnyAveraging holds an averaging rule
#include <splitvit/split/averaging.hpp>

using namespace splitvit;

#if SPLITVIT_MISUSE
#define MAYBE_CONST
#else
#define MAYBE_CONST const
#endif

struct Mine {
  void add(const split::Contribution&, std::span<const float> values,
           std::span<double> mean) MAYBE_CONST {
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] = static_cast<double>(values[i]);
  }
};

int main() { return split::AnyAveraging<float>{Mine{}}.description().empty(); }
