// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // convertible_to
#include <string>    // string

// describe: the text of a method, so that two parties can compare it.

namespace splitvit {

/// A method, such as a stage or a codec, that describes itself and its parameters. Equal texts mean
/// equal results.
template <class M>
concept Described = requires(const M& method) {
  { method.description() } -> std::convertible_to<std::string>;
};

/// The method's description, on one line; "custom" for one that has none.
template <class M>
std::string describe(const M& method) {
  if constexpr (Described<M>)
    return method.description();
  else
    return "custom";
}

}  // namespace splitvit
