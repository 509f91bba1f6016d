// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // ranges::all_of

#include <splitvit/core/error.hpp>        // ArgumentError
#include <splitvit/core/shape.hpp>        // Index, Shape
#include <splitvit/data/any_dataset.hpp>  // AnyDataset
#include <splitvit/tensor/tensor.hpp>     // Tensor

namespace splitvit::inline SPLITVIT_BUILD::data {

/// A data set whose labels are renumbered: for a model with more classes, or with the same classes
/// in another order.
class Relabelled {
 public:
  /// Class i of `set` becomes new_labels[i], of `classes`.
  /// Errors  std::invalid_argument unless there is one in [0, classes) for each class of the set.
  Relabelled(AnyDataset set, std::vector<Index> new_labels, Index classes)
      : set_{std::move(set)}, new_labels_{std::move(new_labels)}, classes_{classes} {
    const auto fits = [&](Index label) { return label >= 0 && label < classes; };
    if (static_cast<Index>(new_labels_.size()) != set_.classes() ||
        !std::ranges::all_of(new_labels_, fits))
      throw ArgumentError({"Relabelled: ", new_labels_.size(), " labels for ", set_.classes(),
                           " classes, wanted one below ", classes, " for each"});
  }

  Index size() const { return set_.size(); }
  Index classes() const { return classes_; }
  Shape image_shape() const { return set_.image_shape(); }
  Index label(Index i) const { return new_labels_.at(static_cast<std::size_t>(set_.label(i))); }
  Tensor<std::uint8_t> image(Index i) const { return set_.image(i); }

 private:
  AnyDataset set_;
  std::vector<Index> new_labels_;
  Index classes_;
};

static_assert(Dataset<Relabelled>);

}  // namespace splitvit::inline SPLITVIT_BUILD::data
