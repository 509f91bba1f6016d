// SPDX-License-Identifier: MIT
// Two threads may share a stage, so its call is const.
// error: StageForSome
#include <splitvit/compress/then.hpp>

using namespace splitvit;
using namespace splitvit::compress;

#if SPLITVIT_MISUSE
#define MAYBE_CONST
#else
#define MAYBE_CONST const
#endif

struct Mine {
  template <class T>
  CutBatch<T> operator()(CutBatch<T> batch, Rng&) MAYBE_CONST {
    return batch;
  }
};

int main() {
  const auto both = Identity{} | Mine{};
  return sizeof(both) == 0;
}
