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
#include <splitvit/split/client_parts.hpp>   // ClientParts, parts_around
#include <splitvit/split/group.hpp>          // Group
#include <splitvit/split/group_member.hpp>   // GroupMember
#include <splitvit/split/group_options.hpp>  // GroupOptions, Order
#include <splitvit/split/learner.hpp>        // Learner
#include <splitvit/split/messages.hpp>       // read_weights, weights_payload
#include <splitvit/split/report.hpp>         // Evaluation, StepReport
#include <splitvit/split/rounds.hpp>         // Rounds
#include <splitvit/split/server_role.hpp>    // ServerRole
#include <splitvit/split/sharing.hpp>        // AnySharing
#include <splitvit/split/turn.hpp>           // Found, Turn, TurnRequest

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
  /// Without a classifier the clients have the tail, which is averaged as their first part is.
  ///
  /// Errors  std::invalid_argument without clients, for an evaluator that is none of them, or one
  ///         that evaluates every 0 rounds.
  Aggregator(AnySharing<T> sharing, nn::Part<T> part, GroupOptions options)
      : options_{std::move(options)},
        has_part_for_each_{sharing.has_part_for_each},
        clients_average_{sharing.averaging},
        servers_average_{sharing.averaging},
        server_part_{std::move(part)},
        client_parts_{parts_around(server_part_)},
        scratch_{parts_around(server_part_)},
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
  /// The average of what the clients have, after the first round.
  const ClientParts<T>& client_parts() const { return client_parts_; }
  /// The average of the server parts; the part itself where all clients share it.
  const nn::Part<T>& server_part() const override { return server_part_; }
  bool is_over() const override { return is_over_; }

  /// A client asks for its next turn.
  ///
  /// Errors  WireError: truncated; wrong_step for another turn than its last one, or while it has
  ///         steps left; wrong_message with weights where it was not trained, or without; refused
  ///         for a start with other weights than the other clients have.
  void ask(std::uint32_t client, const ServerRole<T>& role,
           std::span<const std::byte> payload) override {
    const bool has_found = client_parts_.tail && is_evaluating_ && client == evaluator_;
    const TurnRequest request = TurnRequest::read(payload, has_found);
    Member& member = at(client);
    member.learner = role.shared_learner();
    if (rounds_.is_away(client)) return ask_again(client, role, request);
    const bool was_lost = member.turns > 0 && request.turn == member.turns - 1;  // the answer
    if (!was_lost && request.turn != member.turns)
      throw WireError(Reason::wrong_step, {"turn: client ", client, " has come to turn ",
                                           request.turn, ", wanted ", member.turns});
    if (was_lost || member.requests > member.turns)
      return member.await(request.turn);  // it has asked before
    const bool was_trained =
        rounds_.is_member(client) && !rounds_.is_ready(client) && rounds_.steps(client) > 0;
    if (was_trained == request.weights.empty())
      throw WireError(Reason::wrong_message, {"turn: client ", client,
                                              was_trained ? " sent no weights after its steps"
                                                          : " sent weights without any steps"});
    if (request.turn == 0) require_start(client, request.start);
    rounds_.ready(client, request.steps);
    ++member.requests;
    member.await(request.turn);
    // Of more bytes than weights can have, one is enough to refuse them later.
    if (was_trained)
      member.came(request.weights.first(std::min(request.weights.size(), weights_bytes_ + 1)),
                  role.images());
    if (is_evaluating_ && client == evaluator_) end_evaluation(request.found);
    add_weights();
    go_on();
  }

  void skip(std::uint32_t client) override {
    leave_out(client, WireError{Reason::late, {"the others have waited for it long enough"}});
    rounds_.skip(client);
    at(client).waits = false;
    if (is_evaluating_ && client == evaluator_) {
      evaluation_ = {};
      is_evaluating_ = false;
      if (give_evaluation()) return;
    }
    add_weights();
    go_on();
  }
  bool is_away(std::uint32_t client) const override { return rounds_.is_away(client); }
  std::vector<std::byte> answer_missed(std::uint32_t client) const override {
    return Turn{.number = at(client).turns, .round = rounds_.number(), .what = Turn::What::missed}
        .payload();
  }
  std::chrono::nanoseconds deadline() const override { return options_.deadline; }

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
    if (member.takes) turn.weights = weights = weights_payload<T>(client_parts_);
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
    return is_evaluating_ && client == evaluator_ ? &evaluation_ : nullptr;
  }
  /// The client has come back: an evaluation begins anew.
  void came_back(std::uint32_t client) override {
    if (is_evaluating_ && client == evaluator_) evaluation_ = {};
  }
  void came_anew(std::uint32_t client) override {
    if (!rounds_.is_away(client)) skip(client);
    at(client).average = 0;
  }

  /// Of the time when turns have been given and none of them has begun; without the learners. See
  /// core/state.hpp.
  void each_state(StateVisitor& see) override {
    rounds_.each_state(see);
    show_weights(see, "average.", client_parts_);
    if (has_part_for_each_) show_weights(see, "server_average.", server_part_);
    show_whole_numbers(see, "turns", [this](const auto& use) {
      use(start_);
      use(average_);
      use(turns_given_);
      use(is_evaluating_);
      use(evaluator_);
      use(is_over_);
      for (Member& one : members_) one.each_number(use);
    });
  }
  void went_back(const std::vector<std::shared_ptr<Learner<T>>>& learners) override {
    is_round_open_ = turns_given_ > 0 && !is_evaluating_ && !is_over_;
    evaluation_ = {};
    clients_average_.discard();
    servers_average_.discard();
    added_ = 0;
    for (std::size_t i = 0; i < members_.size(); ++i) members_[i].went_back(learners[i]);
  }

  /// Those for whom all others wait, by their numbers.
  std::vector<std::uint32_t> awaited() const override {
    if (is_over_) return {};
    if (is_evaluating_) return {evaluator_};
    const std::uint32_t next = options_.order == Order::fixed ? rounds_.next() : 0;
    return next == 0 ? rounds_.awaited() : std::vector{next};
  }

 private:
  using Member = GroupMember<T>;

  Member& at(std::uint32_t client) { return members_.at(std::size_t{client} - 1); }
  const Member& at(std::uint32_t client) const { return members_.at(std::size_t{client} - 1); }

  static void show_weights(StateVisitor& see, const std::string& prefix, const auto& module) {
    for (const auto& [name, parameter] : nn::parameters<T>(module))
      see(prefix + name, parameter.mutable_value().span());
  }

  void require_start(std::uint32_t client, std::uint32_t start) {
    const std::uint64_t shown = start + std::uint64_t{1};
    if (start_ == 0) start_ = shown;
    if (start_ != shown)
      throw WireError(Reason::refused, {"turn: client ", client,
                                        " does not begin with the weights of the other clients"});
  }

  /// A client that was skipped asks for its next turn. Its weights, if it has sent any, are those
  /// of a round that has gone on without it; and perhaps it has not heard of its last turn.
  void ask_again(std::uint32_t client, const ServerRole<T>& role, const TurnRequest& request) {
    Member& member = at(client);
    if (request.turn > member.turns)
      throw WireError(Reason::wrong_step, {"turn: client ", client, " has come to turn ",
                                           request.turn, ", wanted ", member.turns, " or less"});
    if (request.turn == 0) require_start(client, request.start);
    rounds_.ready(client, request.steps);
    member.requests = member.turns + 1;
    member.images = role.images();
    member.await(member.turns);
    if (is_over_) return give(client, Turn::What::over);
    go_on();
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
      if ((is_last || rounds_.number() % options_.evaluate_every == 0) && give_evaluation()) return;
    }
    is_over_ = rounds_.is_over();
    if (is_over_) {
      for (std::uint32_t client = 1; client <= clients(); ++client)
        if (rounds_.is_ready(client)) give(client, Turn::What::over);
      return;
    }
    if (!rounds_.can_begin()) return;  // all are away
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
    member.average = trains ? Member::trained : average_;
    member.has_heard = false;
    ++turns_given_;
  }

  /// Gives the turn to evaluate the average to the evaluator, or to the first client that is ready
  /// if the evaluator is away. Returns false if nobody can take it.
  bool give_evaluation() {
    if (options_.evaluator == 0 || average_ == 0) return false;
    evaluator_ = options_.evaluator;
    if (!rounds_.is_ready(evaluator_)) evaluator_ = rounds_.first_ready();
    is_evaluating_ = evaluator_ != 0;
    if (is_evaluating_) give(evaluator_, Turn::What::evaluate);
    return is_evaluating_;
  }

  /// `told`: by a client that takes the loss itself.
  void end_evaluation(const std::optional<Found>& told) {
    is_evaluating_ = false;
    Evaluation found = std::exchange(evaluation_, {});
    if (told) {
      found.loss = told->loss_sum;
      found.correct = static_cast<Index>(told->correct);
      found.samples = static_cast<Index>(told->samples);
    }
    if (found.samples > 0) found.loss /= static_cast<double>(found.samples);
    if (options_.on_evaluated) options_.on_evaluated(rounds_.number(), found);
  }

  void end_round() {
    if (clients_average_.count() == 0) return;  // all were left out
    try {
      clients_average_.finish(nn::parameters<T>(scratch_));
      if (has_part_for_each_) servers_average_.finish(nn::parameters<T>(server_part_));
      std::swap(client_parts_, scratch_);
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
  nn::Part<T> server_part_;
  ClientParts<T> client_parts_;
  ClientParts<T> scratch_;  // for weights that have come
  std::size_t weights_bytes_ = weights_payload<T>(scratch_).size();
  Rounds rounds_;
  std::vector<Member> members_;    // client i at i - 1
  std::uint64_t start_ = 0;        // the checksum of all clients' first weights, plus 1
  std::uint64_t average_ = 0;      // how many there have been
  std::uint64_t turns_given_ = 0;  // to all clients
  std::size_t added_ = 0;          // members of the round that were added, or left out
  bool is_round_open_ = false;
  bool is_evaluating_ = false;   // the evaluator is to evaluate, and nobody trains
  std::uint32_t evaluator_ = 0;  // who it is now
  Evaluation evaluation_;        // what it has found; the loss is a sum
  bool is_over_ = false;
};

SPLITVIT_ONCE(class Aggregator<float>);

}  // namespace splitvit::inline SPLITVIT_BUILD::split
