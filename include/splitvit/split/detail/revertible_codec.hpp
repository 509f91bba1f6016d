// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point
#include <cstddef>   // byte
#include <utility>   // move
#include <vector>    // vector

#include <splitvit/codec/any_codec.hpp>  // AnyCodec
#include <splitvit/core/state.hpp>       // append_state, set_state_bytes, show_state

// RevertibleCodec: a codec whose state changes only with an applied step.

namespace splitvit::split::detail {

/// A codec and its state before the current step. A codec without state costs nothing here.
template <std::floating_point T>
class RevertibleCodec {
 public:
  explicit RevertibleCodec(codec::AnyCodec<T> codec) : codec_{std::move(codec)} {}

  const codec::AnyCodec<T>& codec() const { return codec_; }

  /// The codec, to be used within a step: until commit or discard.
  codec::AnyCodec<T>& in_step() {
    if (!under_way_) {
      before_.clear();
      append_state(codec_, before_);
      under_way_ = true;
    }
    return codec_;
  }
  /// The step is applied: keeps the state.
  void commit() { under_way_ = false; }
  /// The step is not applied: restores the state before it.
  void discard() {
    if (under_way_) set_state_bytes(codec_, before_);
    under_way_ = false;
  }

  /// See core/state.hpp.
  void each_state(auto&& see) { show_state(codec_, see, "codec."); }

 private:
  codec::AnyCodec<T> codec_;
  std::vector<std::byte> before_;
  bool under_way_ = false;
};

}  // namespace splitvit::split::detail
