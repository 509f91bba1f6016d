// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // min
#include <functional>  // function
#include <memory>      // shared_ptr

#include <splitvit/core/error.hpp>           // ArgumentError, Reason, WireError
#include <splitvit/core/state.hpp>           // show_whole_numbers, StateVisitor
#include <splitvit/nn/concepts.hpp>          // parameters
#include <splitvit/nn/part.hpp>              // Part
#include <splitvit/split/averaging.hpp>      // Average
#include <splitvit/split/group.hpp>          // Group
#include <splitvit/split/group_options.hpp>  // GroupOptions, Order
#include <splitvit/split/learner.hpp>        // Learner
#include <splitvit/split/messages.hpp>       // read_weights, weights_payload
#include <splitvit/split/report.hpp>         // Evaluation, StepReport
#include <splitvit/split/rounds.hpp>         // Rounds
#include <splitvit/split/server_role.hpp>    // ServerRole
#include <splitvit/split/sharing.hpp>        // AnySharing
#include <splitvit/split/turn.hpp>           // Turn, TurnRequest

namespace splitvit::inline SPLITVIT_BUILD::split {

/// What a server does for its clients together: rounds, averages, and who may go on. It does no
/// I/O, and one thread at a time may use it.
///
///   aggregator.ask(client, role, request);         a turn message has come
///   if (aggregator.has_turn(client))               perhaps only after those of other clients
///     send(aggregator.answer(client));
///   if (aggregator.may_step(client)) { ...; aggregator.step(client); }
///
/// All clients begin with equal weights. Weights are added to the average in the order of the
/// clients' numbers, whenever they come. Where a step or a request is repeated over another
/// connection, nothing is counted twice.
template <std::floating_point T>
class Aggregator final : public Group<T> {
 public:
  /// `part` is a server part; where each client has its own, the one that becomes the average.
  ///
  /// Errors  std::invalid_argument without clients, for an evaluator that is none of them, or one
  ///         that evaluates every 0 rounds.
  Aggregator(AnySharing<T> sharing, nn::Part<T> part, GroupOptions options)
      : options_{std::move(options)},
        has_part_for_each_{sharing.has_part_for_each},
        clients_average_{sharing.averaging},
        servers_average_{sharing.averaging},
        server_part_{std::move(part)},
        client_part_{part_before(server_part_)},
        scratch_{part_before(server_part_)},
        rounds_{options_.clients,
                [sharing = std::move(sharing)](std::span<const Candidate> ready, Rng rng) {
                  return sharing.choose(ready, rng);
                },
                options_.seed, options_.order},
        members_(options_.clients) {
    if (options_.evaluator > options_.clients || options_.evaluate_every == 0)
      throw ArgumentError({"Aggregator: the evaluator is client ", options_.evaluator, " of ",
                           options_.clients, ", every ", options_.evaluate_every,
                           " rounds; wanted a client of the group, or 0, and 1 round or more"});
  }

  const Rounds& rounds() const { return rounds_; }
  std::uint32_t clients() const override { return rounds_.clients(); }
  /// The average of the client parts, after the first round.
  const nn::Part<T>& client_part() const { return client_part_; }
  /// The average of the server parts; the part itself where all clients share it.
  const nn::Part<T>& server_part() const override { return server_part_; }
  bool is_over() const { return is_over_; }

  /// A client asks for its next turn.
  ///
  /// Errors  WireError: truncated; wrong_step for another turn than its last one, or while it has
  ///         steps left; wrong_message with weights where it was not trained, or without; refused
  ///         for a start with other weights than the other clients have.
  void ask(std::uint32_t client, const ServerRole<T>& role,
           std::span<const std::byte> payload) override {
    const TurnRequest request = TurnRequest::read(payload);
    Member& member = at(client);
    member.learner = role.shared_learner();
    const bool was_lost = member.turns > 0 && request.turn == member.turns - 1;  // the answer
    if (!was_lost && request.turn != member.turns)
      throw WireError(Reason::wrong_step, {"turn: client ", client, " has come to turn ",
                                           request.turn, ", wanted ", member.turns});
    const auto waits = [&] {
      member.waits = true;
      member.last_turn = request.turn;
    };
    if (was_lost || member.requests > member.turns) return waits();  // it has asked before
    const bool was_trained =
        rounds_.is_member(client) && !rounds_.is_ready(client) && rounds_.steps(client) > 0;
    if (was_trained == request.weights.empty())
      throw WireError(Reason::wrong_message, {"turn: client ", client,
                                              was_trained ? " sent no weights after its steps"
                                                          : " sent weights without any steps"});
    if (request.turn == 0) require_start(client, request.start);
    rounds_.ready(client, request.steps);
    ++member.requests;
    waits();
    // Of more bytes than weights can have, one is enough to refuse them later.
    if (was_trained)
      member.came(request.weights.first(std::min(request.weights.size(), weights_bytes_ + 1)),
                  role.images());
    if (is_evaluating_ && client == options_.evaluator) end_evaluation();
    add_weights();
    go_on();
  }

  /// Whether a client that has asked can be answered now.
  bool has_turn(std::uint32_t client) const override {
    return at(client).waits && at(client).last_turn < at(client).turns;
  }

  /// The payload of the answer.
  /// Errors  std::logic_error unless has_turn().
  std::vector<std::byte> answer(std::uint32_t client) override {
    if (!has_turn(client)) throw std::logic_error("Aggregator: it is not the client's turn");
    Member& member = at(client);
    member.waits = false;
    member.has_heard = true;
    Turn turn = member.turn;
    std::vector<std::byte> weights;
    if (member.takes) turn.weights = weights = weights_payload<T>(client_part_);
    return turn.payload();
  }
  std::uint64_t turns_given() const override { return turns_given_; }
  std::optional<std::uint64_t> unheard_bytes(std::uint32_t client) const override {
    if (at(client).has_heard) return std::nullopt;
    return Turn{}.payload().size() + (at(client).takes ? weights_bytes_ : 0);
  }

  /// Whether the client may take its next step now. Errors  As Rounds::may_step.
  bool may_step(std::uint32_t client) const override { return rounds_.may_step(client); }
  /// It has taken it.
  void step(std::uint32_t client, const StepReport& report) override {
    rounds_.step(client);
    if (options_.on_step) options_.on_step(client, report);
  }

  /// Where what the evaluator finds is added up while it evaluates; null for other clients.
  Evaluation* evaluation(std::uint32_t client) override {
    return is_evaluating_ && client == options_.evaluator ? &evaluation_ : nullptr;
  }
  /// The client has come back: an evaluation begins anew.
  void came_back(std::uint32_t client) override {
    if (client == options_.evaluator) evaluation_ = {};
  }

  /// Of the time when turns have been given and none of them has begun; without the learners. See
  /// core/state.hpp.
  void each_state(StateVisitor& see) override {
    rounds_.each_state(see);
    show_weights(see, "average.", client_part_);
    if (has_part_for_each_) show_weights(see, "server_average.", server_part_);
    show_whole_numbers(see, "turns", [this](const auto& use) {
      use(start_);
      use(average_);
      use(turns_given_);
      use(is_evaluating_);
      use(is_over_);
      for (Member& one : members_) {
        use(one.requests);
        use(one.turns);
        use(one.turn.number);
        use(one.turn.round);
        use(one.turn.steps);
        use(one.turn.what);
        use(one.takes);
        use(one.average);
        use(one.images);
      }
    });
  }
  void went_back(const std::vector<std::shared_ptr<Learner<T>>>& learners) override {
    is_round_open_ = turns_given_ > 0 && !is_evaluating_ && !is_over_;
    evaluation_ = {};
    clients_average_.discard();
    servers_average_.discard();
    added_ = 0;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      Member& one = members_[i];
      one.learner = learners[i];
      one.waits = one.has_come = false;
      one.has_heard = true;
      one.weights = {};
    }
  }

  /// Those for whom all others wait, by their numbers.
  std::vector<std::uint32_t> awaited() const override {
    if (is_over_) return {};
    if (is_evaluating_) return {options_.evaluator};
    const std::uint32_t next = options_.order == Order::fixed ? rounds_.next() : 0;
    return next == 0 ? rounds_.awaited() : std::vector{next};
  }

 private:
  /// A member `trained` since it has taken an average.
  static constexpr std::uint64_t trained = ~std::uint64_t{0};

  struct Member {
    std::shared_ptr<Learner<T>> learner = {};
    bool waits = false;           // for the answer to a request
    std::uint64_t last_turn = 0;  // in that request
    std::uint64_t requests = 0;   // for a turn, repeated ones not counted
    std::uint64_t turns = 0;      // that it was given
    Turn turn = {};               // the last one, without weights
    bool takes = false;           // weights, with that turn
    bool has_heard = true;        // of that turn
    std::uint64_t average = 0;    // that it has; 0: its start; `trained`: it has gone on since
    std::uint64_t images = 0;     // that it has trained on when its weights came
    std::uint64_t samples = 0;    // of them since the time before
    bool has_come = false;        // its weights of this round
    std::vector<std::byte> weights = {};  // that came and are not added yet

    void came(std::span<const std::byte> bytes, std::uint64_t all_images) {
      has_come = true;
      samples = all_images - std::exchange(images, all_images);
      weights.assign(bytes.begin(), bytes.end());
    }
  };

  Member& at(std::uint32_t client) { return members_.at(std::size_t{client} - 1); }
  const Member& at(std::uint32_t client) const { return members_.at(std::size_t{client} - 1); }

  /// The client part that belongs to a server part.
  static nn::Part<T> part_before(const nn::Part<T>& part) {
    nn::Part<T> before{part.config, 0, part.first};
    if (part.decoder) before.encoder.emplace(part.config.dim, part.decoder->options);
    return before;
  }

  static void show_weights(StateVisitor& see, const std::string& prefix, nn::Part<T>& part) {
    for (const auto& [name, parameter] : nn::parameters<T>(part))
      see(prefix + name, parameter.mutable_value().span());
  }

  void require_start(std::uint32_t client, std::uint32_t start) {
    const std::uint64_t shown = start + std::uint64_t{1};
    if (start_ == 0) start_ = shown;
    if (start_ != shown)
      throw WireError(Reason::refused, {"turn: client ", client,
                                        " does not begin with the weights of the other clients"});
  }

  /// Adds the weights that have come, up to the first member of the round whose have not.
  void add_weights() {
    const auto& members = rounds_.members();
    for (; added_ < members.size() && at(members[added_]).has_come; ++added_) {
      const std::uint32_t client = members[added_];
      Member& member = at(client);
      const std::vector<std::byte> weights = std::exchange(member.weights, {});
      try {
        read_weights<T>(weights, scratch_);
      } catch (const WireError& error) {
        leave_out(client, error);
        continue;
      }
      clients_average_.add(client, member.samples, nn::parameters<T>(scratch_));
      if (has_part_for_each_)
        servers_average_.add(client, member.samples, nn::parameters<T>(member.learner->part()));
    }
  }

  /// Ends the round if it is complete, and begins the next one if nothing is due between them.
  void go_on() {
    if (!rounds_.is_complete() || is_evaluating_ || is_over_) return;
    if (std::exchange(is_round_open_, false)) {
      end_round();
      const bool is_last = rounds_.is_over();
      is_evaluating_ = options_.evaluator != 0 && average_ > 0 &&
                       (is_last || rounds_.number() % options_.evaluate_every == 0);
      if (is_evaluating_) return give(options_.evaluator, Turn::What::evaluate);
    }
    is_over_ = rounds_.is_over();
    if (is_over_) {
      for (std::uint32_t client = 1; client <= clients(); ++client) give(client, Turn::What::over);
      return;
    }
    rounds_.begin();
    is_round_open_ = true;
    added_ = 0;
    for (const std::uint32_t client : rounds_.members()) {
      at(client).has_come = false;
      give(client, Turn::What::train);
    }
  }

  /// Gives a client that has asked for it its next turn. Its own server part takes the average at
  /// once; the client hears of the turn when it waits.
  void give(std::uint32_t client, Turn::What what) {
    const bool trains = what == Turn::What::train;
    Member& member = at(client);
    member.turn = {.number = ++member.turns,
                   .round = rounds_.number(),
                   .steps = trains ? rounds_.steps(client) : 0,
                   .what = what};
    member.takes = average_ > 0 && member.average != average_;
    if (member.takes && has_part_for_each_) member.learner->set_weights(server_part_);
    member.average = trains ? trained : average_;
    member.has_heard = false;
    ++turns_given_;
  }

  void end_evaluation() {
    is_evaluating_ = false;
    Evaluation found = std::exchange(evaluation_, {});
    if (found.samples > 0) found.loss /= static_cast<double>(found.samples);
    if (options_.on_evaluated) options_.on_evaluated(rounds_.number(), found);
  }

  void end_round() {
    if (clients_average_.count() == 0) return;  // all were left out
    try {
      clients_average_.finish(nn::parameters<T>(scratch_));
      if (has_part_for_each_) servers_average_.finish(nn::parameters<T>(server_part_));
      std::swap(client_part_, scratch_);
      ++average_;
    } catch (const WireError& error) {
      servers_average_.discard();
      leave_out(0, error);
    }
  }

  void leave_out(std::uint32_t client, const WireError& why) {
    if (options_.on_left_out) options_.on_left_out(client, rounds_.number(), why);
  }

  GroupOptions options_;
  bool has_part_for_each_;
  Average<T> clients_average_, servers_average_;
  nn::Part<T> server_part_, client_part_;
  nn::Part<T> scratch_;  // for weights that have come
  std::size_t weights_bytes_ = weights_payload<T>(scratch_).size();
  Rounds rounds_;
  std::vector<Member> members_;    // client i at i - 1
  std::uint64_t start_ = 0;        // the checksum of all clients' first weights, plus 1
  std::uint64_t average_ = 0;      // how many there have been
  std::uint64_t turns_given_ = 0;  // to all clients
  std::size_t added_ = 0;          // members of the round that were added, or left out
  bool is_round_open_ = false;
  bool is_evaluating_ = false;  // the evaluator is to evaluate, and nobody trains
  Evaluation evaluation_;       // what it has found; the loss is a sum
  bool is_over_ = false;
};

SPLITVIT_ONCE(class Aggregator<float>);

}  // namespace splitvit::inline SPLITVIT_BUILD::split
