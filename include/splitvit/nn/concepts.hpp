// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/variable.hpp>  // Variable

namespace splitvit::inline SPLITVIT_BUILD::nn {

/// Calls `see(name, parameter)`, which it refers to. Modules are compiled once for all visitors.
template <std::floating_point T>
class ParameterVisitor {
 public:
  template <class See>
    requires(!std::same_as<See, ParameterVisitor>)
  explicit ParameterVisitor(const See& see) : ParameterVisitor{&see, {}, call<See>} {}

  void operator()(std::string_view name, const Variable<T>& parameter) const {
    call_(see_, std::string{prefix_}.append(name), parameter);
  }
  /// The same with `prefix` before all names, while this one and the prefix live.
  ParameterVisitor with_prefix(std::string_view prefix) const {
    return {this, prefix, call<ParameterVisitor>};
  }

 private:
  using Call = void (*)(const void* see, const std::string& name, const Variable<T>& parameter);

  ParameterVisitor(const void* see, std::string_view prefix, Call function)
      : see_{see}, prefix_{prefix}, call_{function} {}

  template <class See>
  static void call(const void* see, const std::string& name, const Variable<T>& parameter) {
    (*static_cast<const See*>(see))(name, parameter);
  }

  const void* see_;
  std::string_view prefix_;
  Call call_;
};

/// A type with named parameters: module.each_parameter(see) calls see(name, variable) for each of
/// them, always in the same order; names are unique, and timm's if timm has such a module. A copy
/// of a module shares its parameters, because a Variable is a handle. An own module is in
/// examples/05_autograd_only.cpp.
template <class M, class T>
concept Module = requires(const M& module, ParameterVisitor<T> see) { module.each_parameter(see); };

/// Shows the parameters of a module inside another one, with `prefix` before their names.
template <class M, class See>
void nested(std::string_view prefix, const M& module, See&& see) {
  if constexpr (requires { see.with_prefix(prefix); })
    module.each_parameter(see.with_prefix(prefix));
  else
    module.each_parameter([&](std::string_view name, const auto& parameter) {
      see(std::string{prefix}.append(name), parameter);
    });
}

template <std::floating_point T>
using NamedParameters = std::vector<std::pair<std::string, Variable<T>>>;

/// All parameters of a module, in its order.
template <std::floating_point T, Module<T> M>
NamedParameters<T> parameters(const M& module) {
  NamedParameters<T> all;
  const auto add = [&](const std::string& name, const Variable<T>& parameter) {
    all.emplace_back(name, parameter);
  };
  module.each_parameter(ParameterVisitor<T>{add});
  return all;
}

/// The number of values in a module's parameters.
template <std::floating_point T, Module<T> M>
Index parameter_count(const M& module) {
  Index count = 0;
  for (const auto& [name, parameter] : parameters<T>(module)) count += parameter.value().size();
  return count;
}

/// Fixes a module's parameters: from now on they get no gradient, and an optimiser skips them.
/// Gradients still flow through the module to its input. For evaluation see NoGrad.
template <std::floating_point T, Module<T> M>
void freeze(const M& module) {
  for (const auto& [name, parameter] : parameters<T>(module)) parameter.set_requires_grad(false);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::nn
