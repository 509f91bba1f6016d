// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string

#include <splitvit/core/shape.hpp>  // Index

// kept_count: how many of a number of things stay, given the fraction that shall; and checks of
// the options that say so.

namespace splitvit::compress {

/// The whole part of ratio * count, both in double precision: of 100 things 0.29 keeps 28.
inline Index kept_count(double ratio, Index count) {
  return static_cast<Index>(ratio * static_cast<double>(count));
}

/// The same, but at least `least` and at most `count`.
inline Index kept_count(double ratio, Index count, Index least) {
  return std::min(count, std::max(least, kept_count(ratio, count)));
}

/// Errors  std::invalid_argument, in the name of `operation`, if `keep` is outside (0, 1].
inline void require_fraction(const char* operation, double keep) {
  if (!(keep > 0.0 && keep <= 1.0))  // refuses NaN, too
    throw std::invalid_argument(std::string(operation) + ": keep is " + std::to_string(keep) +
                                ", wanted a fraction in (0, 1]");
}

/// Errors  std::invalid_argument, in the name of `operation`, if an option is below `least`.
template <class Number>
void require_at_least(const char* operation, const char* option, Number value, int least) {
  if (!(value >= static_cast<Number>(least)))  // refuses NaN, too
    throw std::invalid_argument(std::string(operation) + ": " + option + " is " +
                                std::to_string(value) + ", wanted at least " +
                                std::to_string(least));
}

}  // namespace splitvit::compress
