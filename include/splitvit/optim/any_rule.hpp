// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>     // floating_point, same_as
#include <cstdint>      // uint64_t
#include <memory>       // make_shared, shared_ptr
#include <span>         // span
#include <string>       // string
#include <string_view>  // string_view
#include <utility>      // move
#include <vector>       // vector

#include <splitvit/optim/concepts.hpp>  // UpdateRule

// AnyRule: an update rule that is chosen while the program runs.

namespace splitvit::optim {

/// Any update rule for element type T, behind one type. Costs one indirect call for each
/// parameter that is updated. Rules never change, so copies share the rule.
///
///   AnyRule<float> rule = adaptive ? AnyRule<float>{Adam{.lr = 1e-3}} : Sgd{.lr = 0.1};
///
/// Errors  The errors of the rule.
template <std::floating_point T>
class AnyRule {
 public:
  // The concept is checked inside: as a constraint it would ask whether an AnyRule can be copied,
  // which would depend on itself.
  template <class Rule>
    requires(!std::same_as<Rule, AnyRule>)
  AnyRule(Rule rule)
      : lr{static_cast<double>(rule.lr)},
        rule_{std::make_shared<const Model<Rule>>(std::move(rule))} {
    static_assert(UpdateRule<Rule, T>, "AnyRule holds an update rule");
  }

  double lr;  ///< of the rule

  std::span<const std::string_view> state_names() const { return rule_->state_names(); }

  void update(std::uint64_t step, double rate, std::span<T> p, std::span<const T> g,
              std::span<const std::span<T>> state) const {
    rule_->update(step, rate, p, g, state);
  }

  /// Makes the rule check its options, if it can.
  ///
  /// Errors  std::invalid_argument if an option is outside its range.
  void require_options() const { rule_->require_options(); }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual std::span<const std::string_view> state_names() const = 0;
    virtual void update(std::uint64_t step, double rate, std::span<T> p, std::span<const T> g,
                        std::span<const std::span<T>> state) const = 0;
    virtual void require_options() const = 0;
  };

  template <class Rule>
  struct Model final : Interface {
    explicit Model(Rule r) : rule{std::move(r)} {
      const auto& given = rule.state_names();  // may be a temporary array
      const std::span<const std::string_view> listed = given;
      texts.assign(listed.begin(), listed.end());
      names.assign(texts.begin(), texts.end());
    }

    std::span<const std::string_view> state_names() const override { return names; }

    void update(std::uint64_t step, double rate, std::span<T> p, std::span<const T> g,
                std::span<const std::span<T>> state) const override {
      rule.update(step, rate, p, g, state);
    }

    void require_options() const override {
      if constexpr (requires { rule.require_options(); }) rule.require_options();
    }

    Rule rule;
    std::vector<std::string> texts;
    std::vector<std::string_view> names;  // of texts
  };

  std::shared_ptr<const Interface> rule_;
};

}  // namespace splitvit::optim
