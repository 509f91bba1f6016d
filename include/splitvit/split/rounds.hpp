// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // adjacent_find, all_of, any_of, ranges::{all_of, any_of}, sort
#include <functional>  // function

#include <splitvit/core/error.hpp>           // ArgumentError, joined, Reason, WireError
#include <splitvit/core/random.hpp>          // Rng
#include <splitvit/core/state.hpp>           // show_whole_numbers
#include <splitvit/split/group_options.hpp>  // Order
#include <splitvit/split/sharing.hpp>        // Candidate

namespace splitvit::inline SPLITVIT_BUILD::split {

/// Who may train when: the rounds of a training with registered clients, 1 to N. It computes
/// nothing and waits for nobody; its caller tells it what has happened.
///
///   rounds.ready(client, steps);          for each client; then, while some have steps to take:
///   rounds.begin();                       the next round
///   rounds.may_step(2), rounds.step(2);   client 2 takes a step, when it is its turn
///   rounds.ready(2, steps);               and has taken its steps; until is_complete()
///
/// A client that is skipped is away until it is ready again: nobody waits for it. The round goes on
/// without it, and what it does in that round does not count.
class Rounds {
 public:
  /// Who takes part in a round, see Sharing.
  using Choose = std::function<std::vector<std::uint32_t>(std::span<const Candidate>, Rng)>;

  /// Errors  std::invalid_argument without a client.
  Rounds(std::uint32_t clients, Choose choose, std::uint64_t seed, Order order = Order::fixed)
      : all_(clients), choose_{std::move(choose)}, seed_{seed}, order_{order} {
    if (clients == 0) throw ArgumentError({"Rounds: 0 clients, wanted at least 1"});
  }

  std::uint32_t clients() const { return static_cast<std::uint32_t>(all_.size()); }
  /// The round that has begun last, from 1; 0: none.
  std::uint64_t number() const { return number_; }
  /// Those that take part in it, by their numbers.
  const std::vector<std::uint32_t>& members() const { return members_; }
  bool is_member(std::uint32_t client) const { return at(client).is_member; }
  /// Whether a client is ready: for the first round, or again after its steps.
  bool is_ready(std::uint32_t client) const { return at(client).is_ready; }
  /// Whether a client was skipped, and is not ready again.
  bool is_away(std::uint32_t client) const { return at(client).is_away; }

  /// A client is ready for its next round, in which it wants to take so many steps; 0: it has
  /// taken all its steps. Another call before that round only changes the number.
  ///
  /// Errors  WireError (wrong_step) if it has steps left in this round.
  void ready(std::uint32_t client, std::uint64_t steps) {
    One& one = at(client);
    if (one.is_member && !one.is_ready && one.taken < one.steps)
      throw WireError(Reason::wrong_step,
                      {"client ", client, " has taken ", one.taken, " of its ", one.steps,
                       " steps of round ", number_, " and asks for its next turn"});
    one.is_ready = true;
    one.is_away = false;
    one.wanted = steps;
  }

  /// The others go on without a client, until it is ready again.
  void skip(std::uint32_t client) {
    One& one = at(client);
    one.is_ready = one.is_member = false;
    one.is_away = one.has_missed = true;
    std::erase(members_, client);
    find_next();
  }

  /// Whether all members of the round are ready again; at first, whether all clients are ready.
  /// Those that are away do not count.
  bool is_complete() const { return awaited().empty(); }
  /// Whom the round waits for, by their numbers.
  std::vector<std::uint32_t> awaited() const {
    std::vector<std::uint32_t> some;
    for (std::uint32_t client = 1; client <= clients(); ++client)
      if (const One& one = at(client);
          !one.is_ready && !one.is_away && (number_ == 0 || one.is_member))
        some.push_back(client);
    return some;
  }
  /// Whether the round is complete, somebody is ready, and nobody has steps to take. Those that
  /// were skipped once do not make up for it after the others have taken all their steps.
  bool is_over() const {
    if (!is_complete()) return false;
    const auto is_done = [](const One& one) { return one.is_ready && one.wanted == 0; };
    if (std::ranges::all_of(all_, &One::has_missed))
      return std::ranges::any_of(all_, is_done) && candidates().empty();
    return std::ranges::all_of(all_,
                               [&](const One& one) { return one.has_missed || is_done(one); });
  }

  /// Whether a round can begin: the last one is complete, and somebody has steps to take.
  bool can_begin() const { return is_complete() && !candidates().empty(); }
  /// The first of those that are ready; 0: none.
  std::uint32_t first_ready() const {
    for (std::uint32_t client = 1; client <= clients(); ++client)
      if (is_ready(client)) return client;
    return 0;
  }

  /// Begins the next round.
  ///
  /// Errors  std::logic_error unless can_begin(), or if the policy chooses nobody, somebody twice,
  ///         or somebody who is no candidate.
  void begin() {
    const std::vector<Candidate> ready = candidates();
    if (!is_complete() || ready.empty()) throw std::logic_error("Rounds: no round can begin now");
    constexpr std::uint64_t purpose = 0x726f756e64;  // "round"
    std::vector<std::uint32_t> chosen = choose_(ready, Rng{.seed = seed_}.at(purpose, number_ + 1));
    std::sort(chosen.begin(), chosen.end());
    const auto is_candidate = [&](std::uint32_t client) {
      return std::any_of(ready.begin(), ready.end(),
                         [client](const Candidate& one) { return one.client == client; });
    };
    if (chosen.empty() || !std::all_of(chosen.begin(), chosen.end(), is_candidate) ||
        std::adjacent_find(chosen.begin(), chosen.end()) != chosen.end())
      throw std::logic_error(
          joined({"Rounds: the sharing policy chose ", chosen.size(), " of ", ready.size(),
                  " clients for round ", number_ + 1, ", wanted some of them, none twice"}));
    for (One& one : all_) one.is_member = false;
    members_ = std::move(chosen);
    ++number_;
    for (const std::uint32_t client : members_) {
      One& one = at(client);
      one = {.is_ready = false,
             .is_member = true,
             .wanted = one.wanted,
             .steps = one.wanted,
             .taken = 0,
             .rounds = one.rounds + 1,
             .all_taken = one.all_taken,
             .has_missed = one.has_missed};
    }
    find_next();
  }

  /// Whether the client may take its next step now.
  ///
  /// Errors  WireError (wrong_step) if it has no step left, or does not take part in this round.
  bool may_step(std::uint32_t client) const {
    const One& mine = at(client);
    if (!mine.has_steps())
      throw WireError(Reason::wrong_step, {"client ", client, " has no step left in round ",
                                           number_, ", and must ask for its next turn"});
    return order_ == Order::arrival || next() == client;
  }
  /// The client whose step comes next in the fixed order; 0: none is left in this round.
  std::uint32_t next() const { return next_; }
  /// The client has taken a step. Errors  std::logic_error if it had none left.
  void step(std::uint32_t client) {
    One& one = at(client);
    if (!one.has_steps()) throw std::logic_error("Rounds: a step of a client that has none left");
    ++one.taken;
    ++one.all_taken;
    find_next();
  }

  /// How many steps the client may take in the round that has begun last.
  std::uint64_t steps(std::uint32_t client) const { return at(client).steps; }
  /// The steps that it has taken in all rounds, those of rounds that it missed in the end included.
  std::uint64_t all_taken(std::uint32_t client) const { return at(client).all_taken; }

  /// See core/state.hpp.
  void each_state(auto&& see) {
    see("round", number_);
    show_whole_numbers(see, "clients", [this](const auto& use) {
      for (One& one : all_) {
        use(one.is_ready);
        use(one.is_member);
        use(one.wanted);
        use(one.steps);
        use(one.taken);
        use(one.rounds);
        use(one.all_taken);
        use(one.is_away);
        use(one.has_missed);
      }
    });
    members_.clear();
    for (std::uint32_t client = 1; client <= clients(); ++client)
      if (is_member(client)) members_.push_back(client);
    find_next();
  }

 private:
  struct One {
    bool is_ready = false;
    bool is_member = false;    // of the round that has begun last
    std::uint64_t wanted = 0;  // steps in its next round
    std::uint64_t steps = 0;   // in this round
    std::uint64_t taken = 0;   // of them
    std::uint64_t rounds = 0;  // in which it has taken part
    std::uint64_t all_taken = 0;
    bool is_away = false;     // skipped, and not ready since
    bool has_missed = false;  // was skipped once

    bool has_steps() const { return is_member && !is_ready && taken < steps; }
  };

  const One& at(std::uint32_t client) const { return all_.at(std::size_t{client} - 1); }
  One& at(std::uint32_t client) { return all_.at(std::size_t{client} - 1); }

  void find_next() {
    next_ = 0;
    for (const std::uint32_t client : members_)
      if (const One& one = at(client);
          one.has_steps() && (next_ == 0 || one.taken < at(next_).taken))
        next_ = client;
  }

  std::vector<Candidate> candidates() const {
    std::vector<Candidate> some;
    for (std::uint32_t client = 1; client <= clients(); ++client)
      if (const One& one = at(client); one.is_ready && one.wanted > 0)
        some.push_back({client, one.rounds});
    return some;
  }

  std::vector<One> all_;  // client i at i - 1
  Choose choose_;
  std::uint64_t seed_;
  Order order_;
  std::uint64_t number_ = 0;
  std::vector<std::uint32_t> members_;
  std::uint32_t next_ = 0;  // see next(); kept, since many ask for it
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
