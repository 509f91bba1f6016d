// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>      // duration, steady_clock
#include <filesystem>  // path
#include <functional>  // function
#include <iterator>    // ssize
#include <map>         // map

#include <splitvit/core/error.hpp>               // joined, Reason, StorageError
#include <splitvit/core/state.hpp>               // StateVisitor
#include <splitvit/io/checkpoint.hpp>            // Checkpoint
#include <splitvit/io/checkpoint_policy.hpp>     // CheckpointPolicy
#include <splitvit/io/file_layer.hpp>            // FileLayer, system_files
#include <splitvit/io/generations.hpp>           // GenerationOptions, Generations, newest_common
#include <splitvit/split/messages.hpp>           // CheckpointMessage
#include <splitvit/split/party_checkpoints.hpp>  // PartyCheckpoints, ShowState
#include <splitvit/wire/handshake.hpp>           // Hello, Settings, Welcome
#include <splitvit/wire/session_state.hpp>       // SessionState

namespace splitvit::inline SPLITVIT_BUILD::split {

struct CheckpointOptions {
  bool resume = false;  ///< go on from what the folder holds; without it, it must hold nothing
  io::GenerationOptions generations = {};
  /// Server: the client is asked to have both write one at least after so many steps; 0: it is not.
  std::uint64_t every = 0;
  /// What else must be equal to go on, besides what the handshake compares.
  wire::Settings settings = {};
  /// Shows the caller's own state, which is saved and restored, too: such as the rows of a table.
  ShowState more = {};
  /// Is told of a checkpoint that could not be written. Training goes on.
  std::function<void(const StorageError&)> on_failure = {};
};

/// The checkpoints of one party, in a folder of their own. Client and Server call it; a program
/// makes it and gives it to one of them.
///
///   client.keep_checkpoints(std::make_shared<Checkpoints>("run/client", io::EveryN{100}));
///
/// A client's policy says when both parties write one; a server can ask for more of them (`every`).
/// A server's policy says after which steps it writes one of its own, before its reply leaves:
/// io::EveryStep, or io::Memory for none.
///
/// A party that was started again goes on from its newest checkpoint. If the other one is then at
/// another step, both go back to the newest step that both hold. A step is a function of the state
/// before it, so it is computed again with the same bits.
class Checkpoints final : public PartyCheckpoints {
 public:
  /// Takes the folder's lock and reads what it holds.
  ///
  /// Errors  As io::Generations; StorageError (wrong_content) if the folder holds a checkpoint that
  ///         is not to be resumed; what the policy throws.
  template <io::CheckpointPolicy Policy>
  Checkpoints(const std::filesystem::path& folder, Policy policy, CheckpointOptions options = {},
              io::FileLayer& files = io::system_files())
      : options_{std::move(options)},
        policy_{
            [policy](std::uint64_t step, double seconds) { return policy.is_due(step, seconds); }},
        generations_{folder, options_.generations, files},
        found_{generations_.find()} {
    policy_(1, 0.0);  // throws for options out of range
    if (found_.newest && !options_.resume)
      throw StorageError(Reason::wrong_content,
                         {folder.string(), ": holds a checkpoint of step ", found_.newest->step,
                          "; go on from it, or name another folder"});
  }

  /// What the folder held at the start.
  const io::Generations::Found& found() const { return found_; }
  /// Whether the newest checkpoint at the start was written at the end of the session.
  bool had_ended() const {
    return found_.newest && generations_.load(found_.newest->step).sections.contains("ended");
  }
  const io::Generations& generations() const { return generations_; }

  // The rest is for the parties.

  void use(const wire::Settings& settings, std::uint32_t client, std::uint64_t seed) override {
    settings_ = {{"client", std::to_string(client)}, {"seed of draws", std::to_string(seed)}};
    for (const auto* all : {&settings, &std::as_const(options_.settings)})
      for (const auto& [key, value] : *all) settings_[key] = value;
    if (found_.newest) require_settings(*found_.newest);
  }

  std::optional<Saved> newest() const override {
    if (!found_.newest) return std::nullopt;
    return Saved{found_.newest->session, found_.newest->step};
  }
  bool holds(std::uint64_t step) const override { return generations_.holds(step); }
  std::optional<std::uint64_t> joint() const override { return generations_.joint(); }

  bool is_due(std::uint64_t step) const override {
    const std::chrono::duration<double> since = std::chrono::steady_clock::now() - saved_at_;
    return (asked_every_ > 0 && step % asked_every_ == 0) || policy_(step, since.count());
  }

  /// Errors  StorageError (cannot_write).
  void save(wire::SessionState session, const ShowState& party, bool has_ended = false) {
    io::Checkpoint checkpoint;
    checkpoint.session = session.id;
    checkpoint.step = session.steps.last();
    checkpoint.settings = settings_;
    Shown all{party}, caller{options_.more};
    checkpoint.refer("session", session);
    checkpoint.refer("party", all);
    if (options_.more) checkpoint.refer("caller", caller);
    if (has_ended) checkpoint.sections["ended"];
    generations_.save(checkpoint);
    saved_at_ = std::chrono::steady_clock::now();
  }
  bool save_if_possible(wire::SessionState session, const ShowState& party,
                        bool has_ended = false) override {
    try {
      save(std::move(session), party, has_ended);
      return true;
    } catch (const StorageError& error) {
      report(error);
      return false;
    }
  }
  void report(const StorageError& error) const {
    if (options_.on_failure) options_.on_failure(error);
  }

  /// Errors  StorageError: as io::Generations::load; wrong_content for the state of something else.
  ///         `session` and `party` are then unchanged, but not the caller's state.
  void restore(std::uint64_t step, wire::SessionState& session, const ShowState& party) override {
    const io::Checkpoint checkpoint = generations_.load(step);
    require_settings(checkpoint);
    wire::SessionState then;  // a value may be found wrong after others have been restored
    checkpoint.restore("session", then);
    if (then.id != checkpoint.session || then.steps.last() != step)
      throw StorageError(Reason::wrong_content,
                         {checkpoint.source, ": its session is another one than its head says"});
    Shown all{party}, caller{options_.more};
    if (options_.more) checkpoint.restore("caller", caller);
    checkpoint.restore("party", all);
    session.go_back_to(std::move(then));
  }

  std::vector<std::uint64_t> offered() const override {
    std::vector<std::uint64_t> steps = generations_.steps();
    if (std::ssize(steps) > most_offered)
      steps.erase(steps.begin() + 1, steps.end() - (most_offered - 1));
    return steps;
  }

  void meet(const wire::Hello& hello, wire::SessionState& session,
            const ShowState& party) override {
    const std::uint64_t last = session.steps.last();
    const bool reply_lost = hello.last_step + 1 == last && session.steps.has_replies();
    if (hello.last_step == last || reply_lost) return;
    if (const auto common = io::newest_common(offered(), hello.generations))
      go_back_to(*common, session, party);
  }
  void follow(const wire::Welcome& welcome, wire::SessionState& session,
              const ShowState& party) override {
    const std::uint64_t last = session.steps.last();
    const bool goes_on = welcome.last_step == last || welcome.last_step == last + 1;
    if (welcome.generation && !goes_on) go_back_to(*welcome.generation, session, party);
    agree(welcome);
  }
  void agree(const wire::Welcome& welcome) override {
    if (welcome.generation) generations_.set_joint(*welcome.generation);
  }

  std::uint64_t every() const override { return options_.every; }
  CheckpointMessage::Held save_joint(wire::SessionState session, const ShowState& party) override {
    const std::uint64_t step = session.steps.last();
    if (!holds(step) && !save_if_possible(std::move(session), party))
      return CheckpointMessage::Held::no;
    generations_.set_joint(step);
    return CheckpointMessage::Held::yes;
  }
  bool is_answered() const override { return is_answered_; }
  void answered(const CheckpointMessage& answer) override {
    is_answered_ = true;
    asked_every_ = answer.every;
    are_with_turns_ = answer.held == CheckpointMessage::Held::with_turns;
    if (are_with_turns_) return;
    if (answer.held == CheckpointMessage::Held::no)
      report({Reason::cannot_write,
              {"the server could not write its checkpoint of step ", answer.step}});
    else  // a server that keeps none holds nothing that an older one could be common with
      generations_.set_joint(answer.step);
  }

  bool are_with_turns() const override { return are_with_turns_; }

  void end(std::uint64_t step) override {
    try {
      if (generations_.joint() == step) generations_.keep_only(step);
    } catch (const StorageError& error) {
      report(error);
    }
  }

 private:
  static constexpr std::ptrdiff_t most_offered = 64;  // that a hello can name

  struct Shown {
    const ShowState& show;
    void each_state(StateVisitor& see) { show(see); }
  };

  void require_settings(const io::CheckpointHead& head) const {
    io::Checkpoint checkpoint{head};
    checkpoint.source = generations_.folder().string();
    checkpoint.require_settings(settings_);
  }

  void go_back_to(std::uint64_t step, wire::SessionState& session, const ShowState& party) {
    restore(step, session, party);
    generations_.go_back_to(step);
  }

  CheckpointOptions options_;
  std::function<bool(std::uint64_t step, double seconds)> policy_;
  io::Generations generations_;
  io::Generations::Found found_;
  std::map<std::string, std::string> settings_;
  bool is_answered_ = false;
  bool are_with_turns_ = false;
  std::uint64_t asked_every_ = 0;  // by the server
  std::chrono::steady_clock::time_point saved_at_ = std::chrono::steady_clock::now();
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
