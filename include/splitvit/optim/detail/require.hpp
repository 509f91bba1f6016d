// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string

// Checks of options, with the text that they all share.

namespace splitvit::optim::detail {

/// Errors  std::invalid_argument, naming rule and option, unless `fits`.
inline void require(bool fits, const char* option, double value, const char* wanted) {
  if (!fits)
    throw std::invalid_argument(std::string(option) + " is " + std::to_string(value) + ", wanted " +
                                wanted);
}

inline void require_not_negative(const char* option, double value) {
  require(value >= 0.0, option, value, "at least 0");  // refuses NaN, too
}

/// For decay factors.
inline void require_below_one(const char* option, double value) {
  require(value >= 0.0 && value < 1.0, option, value, "a number in [0, 1)");
}

}  // namespace splitvit::optim::detail
