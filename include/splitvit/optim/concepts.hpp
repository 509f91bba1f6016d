// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/options.hpp>  // Real

namespace splitvit::inline SPLITVIT_BUILD::optim {

/// How a parameter changes, given its gradient. Optimizer applies the rule to all parameters of a
/// model and keeps its state.
///
///   expression                            meaning
///   rule.lr                               learning rate, until the Optimizer is given another
///   rule.state_names()                    the names of the tensors that it keeps for each
///                                         parameter, which begin as zeros: texts
///   rule.update(step, lr, p, g, state)    changes the values p of one whole parameter, and its
///                                         state, a span for each name, by gradient g; all of one
///                                         length. step counts this parameter's updates from 1
///
/// A rule is a small struct of options; it keeps nothing between calls, and update does not throw.
/// Equal arguments give equal bits for any number of threads.
template <class R, class T>
concept UpdateRule = requires(const R& rule, std::uint64_t step, double lr, std::span<T> p,
                              std::span<const T> g, std::span<const std::span<T>> state) {
  requires std::copy_constructible<R>;
  { rule.lr } -> std::convertible_to<double>;
  { rule.state_names() } -> std::convertible_to<std::span<const std::string_view>>;
  { rule.update(step, lr, p, g, state) } -> std::same_as<void>;
};

namespace detail {
inline constexpr Real not_negative{0, std::numeric_limits<double>::infinity(), ""};
}  // namespace detail

}  // namespace splitvit::inline SPLITVIT_BUILD::optim
