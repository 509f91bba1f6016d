// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>   // floating_point
#include <cstddef>    // size_t
#include <cstdint>    // uint64_t
#include <set>        // set
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string
#include <utility>    // move, pair
#include <vector>     // vector

#include <splitvit/autograd/variable.hpp>  // Variable
#include <splitvit/core/workspace.hpp>     // RecycledVector
#include <splitvit/optim/concepts.hpp>     // UpdateRule
#include <splitvit/tensor/tensor.hpp>      // Tensor

// Optimizer: applies an update rule to the parameters of a model, and keeps the rule's state.

namespace splitvit::optim {

/// Parameters with unique names, as nn::parameters returns them. A Variable is a handle: the
/// model and the Optimizer share its values.
template <std::floating_point T>
using NamedParameters = std::vector<std::pair<std::string, Variable<T>>>;

/// Applies a rule to parameters:
///
///   Optimizer optimizer{Adam{.lr = 1e-4}, nn::parameters<float>(model)};
///   backward(loss);
///   optimizer.step();
///   optimizer.clear_gradients();
///
/// What a checkpoint must store to go on bit for bit: the parameters, each_state and updates.
///
/// Errors  std::invalid_argument, when made, for an option of the rule outside its range, and
///         for a parameter without value or with a name that came before.
template <class Rule, std::floating_point T>
  requires UpdateRule<Rule, T>
class Optimizer {
 public:
  Optimizer(Rule rule, NamedParameters<T> parameters)
      : rule_{std::move(rule)}, parameters_{std::move(parameters)}, lr_{rule_.lr} {
    if constexpr (requires { rule_.require_options(); }) rule_.require_options();
    std::set<std::string> names;
    for (const auto& [name, parameter] : parameters_) {
      if (!parameter.defined())
        throw std::invalid_argument("Optimizer: parameter " + name + " has no value");
      if (!names.insert(name).second)
        throw std::invalid_argument("Optimizer: two parameters are called " + name);
      std::vector<Tensor<T>>& kept = state_.emplace_back();
      while (kept.size() < std::size(rule_.state_names())) kept.emplace_back(parameter.shape());
    }
    updates_.resize(parameters_.size());
  }

  /// Updates every parameter that has a gradient; the others, and their state, are left alone.
  void step() {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const Variable<T>& parameter = parameters_[i].second;
      if (!parameter.has_gradient()) continue;
      RecycledVector<std::span<T>> state;
      for (Tensor<T>& kept : state_[i]) state.push_back(kept.span());
      rule_.update(++updates_[i], lr_, parameter.mutable_value().span(),
                   parameter.gradient().span(), std::span<const std::span<T>>{state});
    }
  }

  void clear_gradients() {
    for (const auto& [name, parameter] : parameters_) parameter.clear_gradient();
  }

  const Rule& rule() const { return rule_; }
  const NamedParameters<T>& parameters() const { return parameters_; }

  /// That of the rule until another one is set.
  double learning_rate() const { return lr_; }
  void set_learning_rate(double lr) { lr_ = lr; }

  /// Calls see(name, tensor) for each state tensor, always in the same order, with names such
  /// as "m.head.weight". The tensor may be written to, but not be given another shape.
  void each_state(auto&& see) { walk(*this, see); }
  void each_state(auto&& see) const { walk(*this, see); }

  /// How often each parameter was updated, in the order of parameters(). May be written to.
  std::span<std::uint64_t> updates() { return updates_; }
  std::span<const std::uint64_t> updates() const { return updates_; }

 private:
  template <class Self, class See>
  static void walk(Self& self, See& see) {
    for (std::size_t i = 0; i < self.parameters_.size(); ++i) {
      std::size_t slot = 0;
      for (const auto& name : self.rule_.state_names())
        see(std::string(name) + "." + self.parameters_[i].first, self.state_[i][slot++]);
    }
  }

  Rule rule_;
  NamedParameters<T> parameters_;
  double lr_;
  std::vector<std::vector<Tensor<T>>> state_;  // of each parameter, as the rule names them
  std::vector<std::uint64_t> updates_;
};

}  // namespace splitvit::optim
