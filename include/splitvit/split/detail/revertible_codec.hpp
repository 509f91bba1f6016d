// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point
#include <utility>   // move, swap

#include <splitvit/codec/any_codec.hpp>  // AnyCodec
#include <splitvit/core/state.hpp>       // show_state

// RevertibleCodec: a codec whose state changes only with an applied step.

namespace splitvit::split::detail {

/// Two copies of a codec: a step works on the second one, which replaces the first when the step
/// is committed. Copying reuses memory.
template <std::floating_point T>
class RevertibleCodec {
 public:
  explicit RevertibleCodec(codec::AnyCodec<T> codec)
      : committed_{std::move(codec)}, moving_{committed_} {}

  const codec::AnyCodec<T>& codec() const { return committed_; }

  /// The codec to use within a step: until commit or discard.
  codec::AnyCodec<T>& in_step() {
    if (!under_way_) moving_ = committed_;
    under_way_ = true;
    return moving_;
  }
  /// The step is applied: its state is the codec's.
  void commit() noexcept {
    if (under_way_) std::swap(committed_, moving_);
    under_way_ = false;
  }
  /// The step is not applied: its state is forgotten.
  void discard() noexcept { under_way_ = false; }

  /// See core/state.hpp.
  void each_state(auto&& see) { show_state(committed_, see, "codec."); }

 private:
  codec::AnyCodec<T> committed_, moving_;
  bool under_way_ = false;
};

}  // namespace splitvit::split::detail
