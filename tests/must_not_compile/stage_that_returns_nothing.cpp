// SPDX-License-Identifier: MIT
// A stage returns the batch; one that changes it in place is refused where stages are joined.
// error: StageForSome
// error: CompressionStage
#include <utility>

#include <splitvit/compress/then.hpp>

using namespace splitvit;
using namespace splitvit::compress;

struct Mine {
  template <class T>
#if SPLITVIT_MISUSE
  void operator()(CutBatch<T>&, Rng&) const {
  }
#else
  CutBatch<T> operator()(CutBatch<T> batch, Rng&) const {
    return batch;
  }
#endif
};

int main() {
  const auto both = then(Identity{}, Mine{});
  return sizeof(both) == 0;
}
