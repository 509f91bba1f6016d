// SPDX-License-Identifier: MIT
#pragma once

#include <utility>  // exchange

// NoGrad: operations record no graph while it lives. For evaluation.

namespace splitvit {

namespace detail {

/// Whether operations of this thread record a graph.
inline bool& recording() {
  thread_local bool on = true;
  return on;
}

}  // namespace detail

/// Whether operations of this thread record a graph.
inline bool grad_enabled() { return detail::recording(); }

/// Stops recording in this thread until it is destroyed, as torch.no_grad does. Guards nest.
class NoGrad {
 public:
  NoGrad() = default;
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;
  ~NoGrad() { detail::recording() = before_; }

 private:
  bool before_ = std::exchange(detail::recording(), false);
};

}  // namespace splitvit
