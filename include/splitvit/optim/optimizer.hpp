// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>     // floating_point
#include <cstddef>      // size_t
#include <cstdint>      // uint64_t
#include <set>          // set
#include <span>         // span
#include <stdexcept>    // invalid_argument
#include <string>       // string
#include <string_view>  // string_view
#include <utility>      // move, pair
#include <vector>       // vector

#include <splitvit/autograd/variable.hpp>  // Variable
#include <splitvit/core/workspace.hpp>     // RecycledVector
#include <splitvit/optim/any_rule.hpp>     // AnyRule
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
/// What a checkpoint must store to go on bit for bit: the parameters and each_state.
///
/// Errors  std::invalid_argument, when made, for an option of the rule outside its range, and for a
///         parameter without value or with a repeated name.
template <std::floating_point T>
class Optimizer {
 public:
  template <class Rule>
    requires UpdateRule<Rule, T>
  Optimizer(Rule rule, NamedParameters<T> parameters)
      : rule_{std::move(rule)}, parameters_{std::move(parameters)}, lr_{rule_.lr} {
    rule_.require_options();
    std::set<std::string> names;
    for (const auto& [name, parameter] : parameters_) {
      if (!parameter.defined())
        throw std::invalid_argument("Optimizer: parameter " + name + " has no value");
      if (!names.insert(name).second)
        throw std::invalid_argument("Optimizer: two parameters are called " + name);
      std::vector<Tensor<T>>& kept = state_.emplace_back();
      while (kept.size() < rule_.state_names().size()) kept.emplace_back(parameter.shape());
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

  const AnyRule<T>& rule() const { return rule_; }
  const NamedParameters<T>& parameters() const { return parameters_; }

  /// The learning rate: the rule's, until another one is set.
  double learning_rate() const { return lr_; }
  void set_learning_rate(double lr) { lr_ = lr; }

  /// Calls see(name, value) for the learning rate and, for each parameter, for how often it was
  /// updated and for its state tensors as spans, always in the same order. Names are such as
  /// "learning_rate", "updates.head.weight" and "m.head.weight". See core/state.hpp.
  void each_state(auto&& see) {
    see(std::string{"learning_rate"}, lr_);
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const std::string& parameter = parameters_[i].first;
      see("updates." + parameter, updates_[i]);
      std::size_t slot = 0;
      for (const std::string_view name : rule_.state_names())
        see(std::string{name} + "." + parameter, state_[i][slot++].span());
    }
  }

  /// How often each parameter was updated, in the order of parameters().
  std::span<const std::uint64_t> updates() const { return updates_; }

 private:
  AnyRule<T> rule_;
  NamedParameters<T> parameters_;
  double lr_;
  std::vector<std::vector<Tensor<T>>> state_;  // of each parameter, as the rule names them
  std::vector<std::uint64_t> updates_;
};

}  // namespace splitvit::optim
