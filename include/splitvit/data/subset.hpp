// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/error.hpp>        // ArgumentError
#include <splitvit/core/shape.hpp>        // Index, Shape
#include <splitvit/core/text.hpp>         // counted
#include <splitvit/data/any_dataset.hpp>  // AnyDataset, Dataset
#include <splitvit/tensor/tensor.hpp>     // Tensor

namespace splitvit::inline SPLITVIT_BUILD::data {

/// Some samples of a data set, such as a client's share of it. Copies share the images.
class Subset {
 public:
  /// Sample i is sample samples[i] of `set`.
  /// Errors  std::invalid_argument for a sample that is not in the set.
  Subset(AnyDataset set, std::vector<Index> samples)
      : set_{std::move(set)}, samples_{std::move(samples)} {
    for (const Index sample : samples_)
      if (sample < 0 || sample >= set_.size())
        throw ArgumentError({"Subset: sample ", sample, " of ", counted(set_.size(), "sample")});
  }

  Index size() const { return static_cast<Index>(samples_.size()); }
  Index classes() const { return set_.classes(); }
  Shape image_shape() const { return set_.image_shape(); }
  Index label(Index i) const { return set_.label(sample(i)); }
  Tensor<std::uint8_t> image(Index i) const { return set_.image(sample(i)); }

 private:
  Index sample(Index i) const { return samples_.at(static_cast<std::size_t>(i)); }

  AnyDataset set_;
  std::vector<Index> samples_;
};

static_assert(Dataset<Subset>);

}  // namespace splitvit::inline SPLITVIT_BUILD::data
