// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point
#include <string>    // string

#include <splitvit/compress/cut_batch.hpp>  // CutBatch
#include <splitvit/core/random.hpp>         // Rng

// Identity: the stage that changes nothing; training without compression.

namespace splitvit::compress {

/// Returns the batch as it is, bit for bit. `Identity{} | s` and `s | Identity{}` equal s.
struct Identity {
  template <std::floating_point T>
  CutBatch<T> operator()(CutBatch<T> batch, Rng&) const {
    return batch;
  }

  std::string description() const { return "identity"; }
};

}  // namespace splitvit::compress
