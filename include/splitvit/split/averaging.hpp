// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // transform
#include <cmath>       // isfinite
#include <functional>  // function

#include <splitvit/core/error.hpp>       // joined, Reason, WireError
#include <splitvit/core/options.hpp>     // describe
#include <splitvit/optim/optimizer.hpp>  // NamedParameters

// How the weights of several clients become one. An averaging rule is a small struct of your own:
//
//   /// Every client counts the same, however many samples it has.
//   struct EqualMean {
//     template <std::floating_point T>
//     void add(const Contribution& from, std::span<const T> values, std::span<double> mean) const {
//       for (std::size_t i = 0; i < mean.size(); ++i)
//         mean[i] += (static_cast<double>(values[i]) - mean[i]) / static_cast<double>(from.number);
//     }
//   };

namespace splitvit::inline SPLITVIT_BUILD::split {

/// Whose weights are added to an average.
struct Contribution {
  std::uint32_t client = 0;          ///< its number
  std::uint64_t number = 1;          ///< how many are added with this one, from 1
  std::uint64_t samples = 0;         ///< that the client has trained on since the last average
  std::uint64_t samples_before = 0;  ///< of those that were added before it
};

/// Adds the weights of one client after the other to an average.
///
///   rule.add(from, values, mean)  changes the average of one tensor, which begins as zeros, by the
///                                 values of one client; both of one length
///
/// Clients are added in the order of their numbers, and all their values are finite. A rule keeps
/// nothing between calls, and add does not throw. With one client the average must be its values,
/// and equal values of all clients must stay as they are.
template <class R, class T>
concept AveragingRule =
    std::copy_constructible<R> && requires(const R& rule, const Contribution& from,
                                           std::span<const T> values, std::span<double> mean) {
      { rule.add(from, values, mean) } -> std::same_as<void>;
    };

/// Every sample counts the same: the mean of the clients' weights, each as often as it has samples.
/// Source  Federated averaging, McMahan et al., arXiv:1602.05629.
struct SampleMean {
  std::string description() const { return "samples"; }

  template <std::floating_point T>
  void add(const Contribution& from, std::span<const T> values, std::span<double> mean) const {
    if (from.samples == 0 && from.number > 1) return;
    const double share = from.samples_before == 0
                             ? 1.0
                             : static_cast<double>(from.samples) /
                                   static_cast<double>(from.samples_before + from.samples);
    for (std::size_t i = 0; i < mean.size(); ++i) {
      const auto value = static_cast<double>(values[i]);
      if (share == 1.0)
        mean[i] = value;
      else if (value != mean[i])  // so that equal values keep their bits, also those of -0
        mean[i] += share * (value - mean[i]);
    }
  }
};

/// Any averaging rule for element type T, chosen while the program runs.
template <std::floating_point T>
class AnyAveraging {
 public:
  // The concept is checked inside: as a constraint it would depend on itself.
  template <class Rule>
    requires(!std::same_as<Rule, AnyAveraging>)
  AnyAveraging(Rule rule) : description_{describe(rule)} {
    static_assert(AveragingRule<Rule, T>, "AnyAveraging holds an averaging rule");
    add_ = [rule = std::move(rule)](const Contribution& from, std::span<const T> values,
                                    std::span<double> mean) { rule.add(from, values, mean); };
  }

  const std::string& description() const { return description_; }
  void add(const Contribution& from, std::span<const T> values, std::span<double> mean) const {
    add_(from, values, mean);
  }

 private:
  std::string description_;
  std::function<void(const Contribution&, std::span<const T>, std::span<double>)> add_;
};

/// The average of the weights of several equal parts, in double precision. Its memory does not
/// depend on the number of clients.
template <std::floating_point T>
class Average {
 public:
  explicit Average(AnyAveraging<T> rule) : rule_{std::move(rule)} {}

  /// How many clients are added.
  std::uint64_t count() const { return last_.number; }

  /// Adds the weights of a client, which has trained on so many samples.
  void add(std::uint32_t client, std::uint64_t samples, const optim::NamedParameters<T>& weights) {
    if (count() == 0)
      for (const auto& [name, parameter] : weights)
        means_.emplace_back(parameter.value().span().size());
    last_ = {.client = client,
             .number = last_.number + 1,
             .samples = samples,
             .samples_before = last_.samples_before + last_.samples};
    for (std::size_t i = 0; i < means_.size(); ++i)
      rule_.add(last_, std::span<const T>{weights[i].second.value().span()}, means_[i]);
  }

  /// Gives weights of the same shapes the average, and begins the next one. Nothing changes where
  /// no client was added.
  ///
  /// Errors  WireError (not_finite) naming the first tensor with an average that is not finite; the
  ///         weights are unchanged then, and the next average begins.
  void finish(const optim::NamedParameters<T>& weights) {
    const auto means = std::exchange(means_, {});
    discard();
    for (std::size_t i = 0; i < means.size(); ++i)
      for (const double mean : means[i])
        if (!std::isfinite(static_cast<T>(mean)))
          throw WireError(Reason::not_finite,
                          {"the average of ", weights[i].first, " is not finite"});
    for (std::size_t i = 0; i < means.size(); ++i)
      std::ranges::transform(means[i], weights[i].second.mutable_value().span().begin(),
                             [](double mean) { return static_cast<T>(mean); });
  }

  /// Forgets those that were added.
  void discard() {
    means_.clear();
    last_ = {.number = 0};
  }

 private:
  AnyAveraging<T> rule_;
  std::vector<std::vector<double>> means_;  // one for each tensor
  Contribution last_{.number = 0};          // the one that was added last
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
