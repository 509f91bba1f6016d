// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy

#include <splitvit/core/error.hpp>       // ArgumentError, Reason, WireError
#include <splitvit/core/state.hpp>       // show_state
#include <splitvit/nn/concepts.hpp>      // parameters
#include <splitvit/nn/feedback.hpp>      // Feedback, LocalHead
#include <splitvit/nn/part.hpp>          // Part
#include <splitvit/optim/optimizer.hpp>  // AnyRule, clip_gradients, Optimizer
#include <splitvit/split/options.hpp>    // TrainingOptions
#include <splitvit/tensor/reduce.hpp>    // all_finite

namespace splitvit::inline SPLITVIT_BUILD::split {

/// A part with its optimiser. Gradients are summed in its parameters; apply() updates the weights.
/// With feedback that is not always the server's gradient it also has a local head; a client that
/// keeps its labels also has the last part of the model, the tail.
template <std::floating_point T>
class Learner {
 public:
  /// Errors  std::invalid_argument if feedback needs a local head and no cut follows the part.
  Learner(nn::Part<T> part, std::type_identity_t<optim::AnyRule<T>> rule,
          TrainingOptions options = {}, nn::Feedback feedback = {},
          std::optional<nn::Part<T>> tail = {})
      : part_{std::move(part)},
        tail_{std::move(tail)},
        feedback_{feedback},
        local_head_{head_for(part_, feedback)},
        optimizer_{std::move(rule), parameters()},
        options_{std::move(options)} {}

  const nn::Part<T>& part() const { return part_; }
  /// The last part of the model, where this party has that, too.
  const std::optional<nn::Part<T>>& tail() const { return tail_; }
  const nn::Feedback& feedback() const { return feedback_; }
  const std::optional<nn::LocalHead<T>>& local_head() const { return local_head_; }
  const optim::Optimizer<T>& optimizer() const { return optimizer_; }
  /// How many steps have been applied.
  std::uint64_t steps() const { return steps_; }

  /// Checks, clips, applies and clears the gradients. Nothing changes if it throws, except when the
  /// update rule throws, which it must not: the weights are then lost.
  ///
  /// Errors  WireError (not_finite) naming the first gradient that is not finite; std::logic_error
  ///         after an update rule has thrown.
  void apply() {
    if (is_broken_) throw std::logic_error("Learner: its update rule has failed within a step");
    for (const auto& [name, parameter] : optimizer_.parameters())
      if (parameter.has_gradient() && !all_finite(parameter.gradient().view()))
        throw WireError(Reason::not_finite, {"step ", steps_ + 1, ": the gradient of ", name,
                                             " is not finite; the step is not applied"});
    if (options_.clip_norm > 0) optim::clip_gradients(optimizer_.parameters(), options_.clip_norm);
    if (options_.schedule) optimizer_.set_learning_rate(options_.schedule(steps_));
    is_broken_ = true;
    optimizer_.step();
    is_broken_ = false;
    optimizer_.clear_gradients();
    ++steps_;
  }

  /// Clears the gradients of a step that is not applied.
  void discard() { optimizer_.clear_gradients(); }

  /// Gives the weights the values of a part of the same shapes. The optimiser keeps its state.
  /// Errors  std::logic_error for other names or shapes.
  void set_weights(const nn::Part<T>& from) {
    const auto values = nn::parameters<T>(from);
    const auto& mine = optimizer_.parameters();
    bool fits = values.size() == mine.size();
    for (std::size_t i = 0; fits && i < mine.size(); ++i)
      fits = mine[i].first == values[i].first && mine[i].second.shape() == values[i].second.shape();
    if (!fits) throw std::logic_error("set_weights: the weights of another part");
    for (std::size_t i = 0; i < mine.size(); ++i)
      std::ranges::copy(values[i].second.value().span(), mine[i].second.mutable_value().data());
  }

  /// Weights, the optimiser's state, and the number of steps. See core/state.hpp.
  void each_state(auto&& see) {
    const auto see_weight = [&](const std::string& name, const Variable<T>& parameter) {
      see("weights." + name, parameter.mutable_value().span());
    };
    each_parameter(nn::ParameterVisitor<T>{see_weight});
    show_state(optimizer_, see, "optimizer.");
    see(std::string{"steps"}, steps_);
  }

 private:
  static std::optional<nn::LocalHead<T>> head_for(const nn::Part<T>& part, nn::Feedback feedback) {
    if (!feedback.needs_head()) return std::nullopt;
    if (part.classifier)
      throw ArgumentError({"Learner: ", feedback.description(), " for ", part.description(),
                           ", wanted a part before a cut"});
    return nn::LocalHead<T>{part.output_width(), part.config.classes};
  }

  /// Of the part, of the tail, then of the local head.
  void each_parameter(auto&& see) const {
    part_.each_parameter(see);
    if (tail_) tail_->each_parameter(see);
    if (local_head_) nn::nested("local_head.", *local_head_, see);
  }
  nn::NamedParameters<T> parameters() const {
    nn::NamedParameters<T> all;
    const auto add = [&](const std::string& name, const Variable<T>& parameter) {
      all.emplace_back(name, parameter);
    };
    each_parameter(nn::ParameterVisitor<T>{add});
    return all;
  }

  nn::Part<T> part_;
  std::optional<nn::Part<T>> tail_;
  nn::Feedback feedback_;
  std::optional<nn::LocalHead<T>> local_head_;
  optim::Optimizer<T> optimizer_;
  TrainingOptions options_;
  std::uint64_t steps_ = 0;
  bool is_broken_ = false;  // the update rule has thrown
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
