// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // max, ranges::{find, sort}
#include <functional>  // function
#include <memory>      // make_shared, shared_ptr
#include <mutex>       // lock_guard

#include <splitvit/core/error.hpp>               // joined, Reason, TransportError
#include <splitvit/core/state.hpp>               // show_state, StateVisitor
#include <splitvit/split/group.hpp>              // Group, SavesGroup
#include <splitvit/split/known_client.hpp>       // KnownClient
#include <splitvit/split/known_clients.hpp>      // KnownClients
#include <splitvit/split/learner.hpp>            // Learner
#include <splitvit/split/messages.hpp>           // CheckpointMessage
#include <splitvit/split/party_checkpoints.hpp>  // PartyCheckpoints, ShowState
#include <splitvit/split/report.hpp>             // Timer
#include <splitvit/split/server_role.hpp>        // ServerRole
#include <splitvit/wire/handshake.hpp>           // Hello, random_session_id, Settings
#include <splitvit/wire/session_state.hpp>       // SessionState

namespace splitvit::inline SPLITVIT_BUILD::split {

/// The checkpoints of a server whose clients share a model: one whenever turns were given, before
/// any client hears of it. Its number is how many turns there have been.
///
/// So no client is ever ahead of the newest one by more than the steps of a turn, and a client that
/// keeps a checkpoint of the beginning of its turn can go back to it. If one client must go back
/// further than a lost answer, since it was killed, all go back: their steps are one sequence.
template <std::floating_point T>
class GroupCheckpoints final : public SavesGroup<T> {
 public:
  struct Parties {
    std::shared_ptr<Group<T>> group;
    std::shared_ptr<Learner<T>> shared;  ///< null if each role has its own
    KnownClients<T>& clients;
    std::function<ServerRole<T>()> make_role;
  };

  /// Goes on from the newest checkpoint, if there is one. `on_went_back` is called whenever all
  /// have gone back to it later. `share`: see Server.
  ///
  /// Errors  StorageError if it cannot be restored, or has other settings.
  GroupCheckpoints(std::shared_ptr<PartyCheckpoints> kept, Parties parties,
                   const wire::Settings& settings, std::uint64_t seed,
                   std::function<void()> on_went_back, double share = 1)
      : kept_{std::move(kept)},
        all_{std::move(parties)},
        on_went_back_{std::move(on_went_back)},
        share_{share} {
    kept_->use(settings, 0, seed);
    session_.id = wire::random_session_id();
    if (const auto newest = kept_->newest()) restore(newest->step);
  }

  void save() override {
    waited_ += timer_.lap();
    if (share_ < 1 && took_ > share_ * waited_) return;
    with_all([&](std::vector<Shown>& clients) {
      if (kept_->save_joint(session_, show(clients)) == CheckpointMessage::Held::yes)
        remember(clients);
    });
    took_ = timer_.lap();
    waited_ = 0;
  }
  void end() override {
    with_all([&](std::vector<Shown>& clients) {
      kept_->save_if_possible(session_, show(clients), true);
    });
    kept_->end(session_.steps.last());
  }

  std::shared_ptr<KnownClient<T>> meet(const wire::Hello& hello,
                                       std::shared_ptr<KnownClient<T>> client) override {
    const auto saved = step_of(client->state.client);
    const std::uint64_t last = client->last_step();
    const bool reply_lost = hello.last_step + 1 == last && client->state.steps.has_replies();
    if (!saved || hello.last_step == last || reply_lost || last == *saved ||
        std::ranges::find(hello.generations, *saved) == hello.generations.end())
      return client;
    restore(saved_);
    if (on_went_back_) on_went_back_();
    return all_.clients.find(hello.session);
  }

  std::optional<std::uint64_t> step_of(std::uint32_t client) const override {
    if (client < 1 || client > steps_.size()) return std::nullopt;
    return steps_[client - 1];
  }

 private:
  /// A client's role, and a copy of its session.
  struct Shown {
    ServerRole<T>* role;
    wire::SessionState session;
  };

  /// What a checkpoint holds besides `session_`.
  ShowState show(std::vector<Shown>& clients) {
    return [this, &clients](StateVisitor& see) {
      all_.group->each_state(see);
      if (all_.shared) show_state(*all_.shared, see, "learner.");
      for (std::size_t i = 0; i < clients.size(); ++i) {
        const std::string prefix = joined({"client.", i + 1, "."});
        if (!all_.shared) show_state(clients[i].role->learner(), see, prefix + "learner.");
        show_state(*clients[i].role, see, prefix);
        show_state(clients[i].session, see, prefix);
      }
    };
  }

  /// Calls use() with all clients, in the order of their numbers.
  void with_all(const auto& use) {
    std::vector<Shown> clients;
    for (const auto& client : all_.clients.all()) {
      const std::lock_guard lock{*client->guard};
      clients.push_back({&client->role, client->state});
      count_turn(clients.back().session);
    }
    std::ranges::sort(clients, {}, [](const Shown& one) { return one.session.client; });
    session_.steps.restart(all_.group->turns_given());
    use(clients);
  }

  /// A turn that was given and is not heard of yet counts as sent: who goes on from this checkpoint
  /// may have it. If it must be sent again, that is a repeat.
  void count_turn(wire::SessionState& session) const {
    const auto bytes = all_.group->unheard_bytes(session.client);
    if (!bytes) return;
    session.sent.add(wire::MessageKind::turn, wire::count_of_message(*bytes));
    session.sent_turns.next = std::max<std::uint64_t>(session.sent_turns.next, 1) + 1;
  }

  void restore(std::uint64_t number) {
    std::vector<std::shared_ptr<KnownClient<T>>> fresh;
    std::vector<Shown> shown;
    for (std::uint32_t i = 0; i < all_.group->clients(); ++i) {
      fresh.push_back(std::make_shared<KnownClient<T>>(all_.make_role()));
      shown.push_back({&fresh.back()->role, {}});
    }
    kept_->restore(number, session_, show(shown));
    std::vector<std::shared_ptr<Learner<T>>> learners;
    for (const auto& client : fresh) learners.push_back(client->role.shared_learner());
    all_.group->went_back(learners);
    remember(shown);
    std::vector<std::shared_ptr<wire::Connection>> connections;
    for (std::size_t i = 0; i < fresh.size(); ++i) {
      KnownClient<T>& client = *fresh[i];
      client.is_connected = false;
      if (const auto before = all_.clients.find(shown[i].session.id)) {
        const std::lock_guard lock{*before->guard};
        client.state = before->state;
        before->is_superseded = true;
        if (const auto connection = before->connection.lock()) connections.push_back(connection);
      }
      client.state.go_back_to(std::move(shown[i].session));
    }
    all_.clients.replace_by(fresh);
    for (const auto& connection : connections)
      connection->end(TransportError{
          Reason::closed, "all clients go back to the beginning of a round, for one that must"});
  }

  void remember(const std::vector<Shown>& clients) {
    saved_ = session_.steps.last();
    steps_.clear();
    for (const Shown& one : clients) steps_.push_back(one.session.steps.last());
  }

  std::shared_ptr<PartyCheckpoints> kept_;
  Parties all_;
  std::function<void()> on_went_back_;
  double share_;
  Timer timer_;
  double took_ = 0, waited_ = 0;      // seconds: to write the last one, and since then
  wire::SessionState session_;        // the group's own: its id, and how many turns there have been
  std::uint64_t saved_ = 0;           // the number of the newest checkpoint
  std::vector<std::uint64_t> steps_;  // of client i + 1, in the newest checkpoint
};

SPLITVIT_ONCE(class GroupCheckpoints<float>);

}  // namespace splitvit::inline SPLITVIT_BUILD::split
