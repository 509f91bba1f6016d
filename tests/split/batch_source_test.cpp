// SPDX-License-Identifier: MIT
#include <optional>
#include <vector>

#include <splitvit/data/loader.hpp>
#include <splitvit/split/batch_source.hpp>

#include "support/catch.hpp"

using namespace splitvit;

namespace {

struct Endless {
  struct Batch {
    Tensor<float> images;
    std::vector<Index> labels;
  };
  Batch* next() { return &batch; }
  Batch batch;
};
struct Soft {
  struct Batch {
    Tensor<float> images;
    Labels labels;
  };
  std::optional<Batch> next() { return {}; }
};
struct WithoutLabels {
  struct Batch {
    Tensor<float> images;
  };
  std::optional<Batch> next() { return {}; }
};

static_assert(split::BatchSource<Endless, float>);
static_assert(split::BatchSource<Soft, float>);
static_assert(split::BatchSource<data::Loader<float>::Epoch, float>);
static_assert(!split::BatchSource<Endless, double>);
static_assert(!split::BatchSource<WithoutLabels, float>);

}  // namespace

TEST_CASE("BatchSource: what one is, is known at compile time", "[split]") { SUCCEED(); }
