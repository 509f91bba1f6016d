// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // min_element
#include <functional>  // function

#include <splitvit/core/error.hpp>       // joined
#include <splitvit/core/random.hpp>      // Rng
#include <splitvit/core/shape.hpp>       // Index
#include <splitvit/split/averaging.hpp>  // AnyAveraging, AveragingRule, SampleMean

// How several clients train one model with one server: in rounds. In a round some clients train,
// each from the same weights; at its end their weights are averaged.
//
//   shared     one server part, which learns from the steps of all clients (SplitFed v2)
//   averaged   each client has a server part of its own; they are averaged, too (SplitFed v1)
//   relay      one client trains at a time, and hands its weights on to the next one
//
// Source  Thapa et al., "SplitFed: When Federated Learning Meets Split Learning",
//         arXiv:2004.12088; relay: Gupta and Raskar, arXiv:1810.06060.

namespace splitvit::inline SPLITVIT_BUILD::split {

/// A client that is ready for a round and has steps to take.
struct Candidate {
  std::uint32_t client = 0;  ///< its number, from 1
  std::uint64_t rounds = 0;  ///< in which it has taken part
  friend bool operator==(const Candidate&, const Candidate&) = default;
};

/// How several clients train one model.
///
///   expression                      meaning
///   policy.averaging                the averaging rule for the weights of a round
///   P::has_part_for_each            whether each client has a server part of its own: a constant
///   policy.choose(candidates, rng)  the numbers of those that take part in the next round, in any
///                                   order: at least one, none twice
///
/// candidates are in the order of their numbers, at least one. A policy keeps nothing between calls
/// and draws random numbers only from rng, so that the same seed gives the same rounds.
template <class P, class T>
concept Sharing = std::copy_constructible<P> && AveragingRule<decltype(P::averaging), T> &&
                  requires(const P& policy, std::span<const Candidate> candidates, Rng rng) {
                    requires std::same_as<decltype(P::has_part_for_each), const bool>;
                    { policy.choose(candidates, rng) } -> std::same_as<std::vector<std::uint32_t>>;
                  };

/// Draws `count` of the candidates, or takes all of them if they are fewer, or count is 0.
inline std::vector<std::uint32_t> draw_clients(std::span<const Candidate> candidates, Index count,
                                               Rng rng) {
  std::vector<std::uint32_t> drawn;
  for (const Candidate& one : candidates) drawn.push_back(one.client);
  const auto all = static_cast<Index>(drawn.size());
  if (count == 0 || count >= all) return drawn;
  rng.choose<std::uint32_t>(std::span{drawn}, count);
  drawn.resize(static_cast<std::size_t>(count));
  return drawn;
}

/// One server part for all clients; their own parts are averaged after each round.
template <class Rule = SampleMean>
struct Shared {
  Index per_round = 0;  ///< clients in a round, drawn from all; 0: all
  Rule averaging = {};

  static constexpr bool has_part_for_each = false;
  std::string description() const { return "shared"; }
  std::vector<std::uint32_t> choose(std::span<const Candidate> candidates, Rng rng) const {
    return draw_clients(candidates, per_round, rng);
  }
};

/// A server part for each client; both parts are averaged after each round.
template <class Rule = SampleMean>
struct Averaged {
  Index per_round = 0;  ///< clients in a round, drawn from all; 0: all
  Rule averaging = {};

  static constexpr bool has_part_for_each = true;
  std::string description() const { return "averaged"; }
  std::vector<std::uint32_t> choose(std::span<const Candidate> candidates, Rng rng) const {
    return draw_clients(candidates, per_round, rng);
  }
};

/// One client after the other: the one with the fewest rounds, and of those the first. Its weights
/// are handed on as they are.
struct Relay {
  SampleMean averaging = {};

  static constexpr bool has_part_for_each = false;
  std::string description() const { return "relay"; }
  std::vector<std::uint32_t> choose(std::span<const Candidate> candidates, Rng) const {
    const auto has_fewer = [](const Candidate& a, const Candidate& b) {
      return a.rounds < b.rounds;
    };
    return {std::min_element(candidates.begin(), candidates.end(), has_fewer)->client};
  }
};

/// Any sharing policy for element type T, chosen while the program runs:
///
///   AnySharing<float> sharing = relay ? AnySharing<float>{Relay{}} : Shared{.per_round = 5};
template <std::floating_point T>
class AnySharing {
 public:
  // The concept is checked inside: as a constraint it would depend on itself.
  template <class Policy>
    requires(!std::same_as<Policy, AnySharing>)
  AnySharing(Policy policy)
      : has_part_for_each{Policy::has_part_for_each},
        averaging{policy.averaging},
        description_{joined({describe(policy), ", average by ", averaging.description()})} {
    static_assert(Sharing<Policy, T>, "AnySharing holds a sharing policy");
    choose_ = [policy = std::move(policy)](std::span<const Candidate> candidates, Rng rng) {
      return policy.choose(candidates, rng);
    };
  }

  bool has_part_for_each;
  AnyAveraging<T> averaging;

  const std::string& description() const { return description_; }
  std::vector<std::uint32_t> choose(std::span<const Candidate> candidates, Rng rng) const {
    return choose_(candidates, rng);
  }

 private:
  std::string description_;
  std::function<std::vector<std::uint32_t>(std::span<const Candidate>, Rng)> choose_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
