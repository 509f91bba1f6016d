// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>       // isfinite, sqrt
#include <functional>  // function

#include <splitvit/autograd/variable.hpp>   // Variable
#include <splitvit/core/error.hpp>          // ArgumentError, joined
#include <splitvit/core/workspace.hpp>      // RecycledVector
#include <splitvit/optim/concepts.hpp>      // UpdateRule
#include <splitvit/tensor/elementwise.hpp>  // scale
#include <splitvit/tensor/reduce.hpp>       // sum_of_squares
#include <splitvit/tensor/tensor.hpp>       // Tensor

namespace splitvit::inline SPLITVIT_BUILD::optim {

/// Any update rule for element type T, chosen while the program runs:
///
///   AnyRule<float> rule = adaptive ? AnyRule<float>{Adam{.lr = 1e-3}} : Sgd{.lr = 0.1};
template <std::floating_point T>
class AnyRule {
 public:
  // The concept is checked inside: as a constraint it would depend on itself.
  template <class Rule>
    requires(!std::same_as<Rule, AnyRule>)
  AnyRule(Rule rule) : lr{static_cast<double>(rule.lr)} {
    static_assert(UpdateRule<Rule, T>, "AnyRule holds an update rule");
    const auto& given = rule.state_names();  // may be a temporary array
    for (const std::string_view name : std::span<const std::string_view>{given})
      names_.emplace_back(name);
    if constexpr (requires { rule.require_options(); })
      require_options_ = [rule] { rule.require_options(); };
    update_ = [rule = std::move(rule)](std::uint64_t step, double rate, std::span<T> p,
                                       std::span<const T> g, std::span<const std::span<T>> state) {
      rule.update(step, rate, p, g, state);
    };
  }

  double lr;  ///< of the rule

  std::vector<std::string_view> state_names() const { return {names_.begin(), names_.end()}; }

  void update(std::uint64_t step, double rate, std::span<T> p, std::span<const T> g,
              std::span<const std::span<T>> state) const {
    update_(step, rate, p, g, state);
  }

  /// Makes the rule check its options, if it can.
  /// Errors  std::invalid_argument if an option is outside its range.
  void require_options() const {
    if (require_options_) require_options_();
  }

 private:
  std::vector<std::string> names_;
  std::function<void(std::uint64_t, double, std::span<T>, std::span<const T>,
                     std::span<const std::span<T>>)>
      update_;
  std::function<void()> require_options_;  ///< empty for a rule that checks nothing
};

/// Parameters with unique names, as nn::parameters returns them. A Variable is a handle: the
/// model and the Optimizer share its values.
template <std::floating_point T>
using NamedParameters = std::vector<std::pair<std::string, Variable<T>>>;

/// Applies a rule to the parameters of a model, and keeps the rule's state:
///
///   Optimizer optimizer{Adam{.lr = 1e-4}, nn::parameters<float>(model)};
///   backward(loss);
///   optimizer.step();
///   optimizer.clear_gradients();
///
/// A checkpoint stores the parameters and each_state, to go on bit for bit.
///
/// Errors  std::invalid_argument, when made, for an option of the rule outside its range, and for a
///         parameter without value or with a repeated name.
template <std::floating_point T>
class Optimizer {
 public:
  template <class Rule>
    requires UpdateRule<Rule, T>
  Optimizer(Rule rule, NamedParameters<T> parameters)
      : Optimizer{std::move(parameters), AnyRule<T>{std::move(rule)}} {}

  /// Updates every parameter that has a gradient; the others, and their state, are left alone.
  void step();

  void clear_gradients() {
    for (const auto& [name, parameter] : parameters_) parameter.clear_gradient();
  }

  const NamedParameters<T>& parameters() const { return parameters_; }

  double learning_rate() const { return lr_; }  ///< the rule's, until another one is set
  void set_learning_rate(double lr) { lr_ = lr; }

  /// Shows "learning_rate" and, for each parameter, how often it was updated and its state tensors,
  /// such as "updates.head.weight" and "m.head.weight". See core/state.hpp.
  void each_state(auto&& see) {
    see(std::string{"learning_rate"}, lr_);
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const std::string& parameter = parameters_[i].first;
      see("updates." + parameter, updates_[i]);
      std::size_t at = i * slots_;
      for (const std::string_view name : rule_.state_names())
        see(joined({name, ".", parameter}), state_[at++].span());
    }
  }

  /// How often each parameter was updated, in the order of parameters().
  std::span<const std::uint64_t> updates() const { return updates_; }

 private:
  Optimizer(NamedParameters<T> parameters, AnyRule<T> rule);

  AnyRule<T> rule_;
  NamedParameters<T> parameters_;
  double lr_;
  std::size_t slots_ = 0;         // how many tensors the rule keeps for each parameter
  std::vector<Tensor<T>> state_;  // slots_ for each parameter, in the order of their names
  std::vector<std::uint64_t> updates_;
};

/// Scales all gradients by min(1, max_norm / (norm + 1e-6)), unless their common 2-norm is not
/// finite. Returns the norm before scaling.
/// Errors  std::invalid_argument unless max_norm is above 0.
/// Source  PyTorch, torch.nn.utils.clip_grad_norm_.
template <std::floating_point T>
double clip_gradients(const NamedParameters<T>& parameters, double max_norm) {
  if (!(max_norm > 0.0))
    throw ArgumentError({"clip_gradients: max_norm is ", max_norm, ", wanted above 0"});
  double sum = 0.0;
  for (const auto& [name, parameter] : parameters)
    if (parameter.has_gradient()) sum += sum_of_squares<T>(parameter.gradient().view());
  const double norm = std::sqrt(sum);
  const double factor = max_norm / (norm + 1e-6);
  if (factor < 1.0 && std::isfinite(norm))
    for (const auto& [name, parameter] : parameters)
      if (parameter.has_gradient())
        parameter.mutable_gradient() = scale(parameter.gradient(), static_cast<T>(factor));
  return norm;
}

template <std::floating_point T>
Optimizer<T>::Optimizer(NamedParameters<T> parameters, AnyRule<T> rule)
    : rule_{std::move(rule)}, parameters_{std::move(parameters)}, lr_{rule_.lr} {
  rule_.require_options();
  slots_ = rule_.state_names().size();
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const auto& [name, parameter] = parameters_[i];
    if (!parameter.defined()) throw ArgumentError({"Optimizer: parameter ", name, " has no value"});
    for (std::size_t earlier = 0; earlier < i; ++earlier)
      if (parameters_[earlier].first == name)
        throw ArgumentError({"Optimizer: two parameters are called ", name});
    for (std::size_t slot = 0; slot < slots_; ++slot) state_.emplace_back(parameter.shape());
  }
  updates_.resize(parameters_.size());
}

template <std::floating_point T>
void Optimizer<T>::step() {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Variable<T>& parameter = parameters_[i].second;
    if (!parameter.has_gradient()) continue;
    RecycledVector<std::span<T>> state;
    for (std::size_t slot = 0; slot < slots_; ++slot)
      state.push_back(state_[i * slots_ + slot].span());
    rule_.update(++updates_[i], lr_, parameter.mutable_value().span(), parameter.gradient().span(),
                 std::span<const std::span<T>>{state});
  }
}

SPLITVIT_ONCE(class AnyRule<float>);
SPLITVIT_ONCE(class Optimizer<float>);
SPLITVIT_ONCE(double clip_gradients(const NamedParameters<float>&, double));

}  // namespace splitvit::inline SPLITVIT_BUILD::optim
