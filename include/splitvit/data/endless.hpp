// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/data/concepts.hpp>  // Dataset, ImageSet
#include <splitvit/data/loader.hpp>    // Batch, Loader

namespace splitvit::inline SPLITVIT_BUILD::data {

/// The batches of a loader, epoch after epoch, without end. Its set must outlive this.
template <std::floating_point T, Dataset Set = ImageSet>
class Endless {
 public:
  /// Begins as if so many batches had been taken.
  /// Errors  std::invalid_argument for a negative number.
  explicit Endless(Loader<T, Set> loader, Index taken = 0)
      : loader_{std::move(loader)},
        epoch_{taken / loader_.batches_per_epoch()},
        batches_{loader_.epoch(epoch_, taken % loader_.batches_per_epoch())} {}

  /// Errors  std::invalid_argument for a label outside [0, classes).
  Batch<T> operator()() {
    auto batch = batches_.next();
    if (!batch) {
      batches_ = loader_.epoch(++epoch_);
      batch = batches_.next();
    }
    return std::move(*batch);
  }

 private:
  Loader<T, Set> loader_;
  Index epoch_;
  typename Loader<T, Set>::Epoch batches_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::data
