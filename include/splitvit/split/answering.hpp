// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // any_of, find_if
#include <chrono>     // nanoseconds
#include <memory>     // shared_ptr
#include <mutex>      // mutex, try_to_lock, unique_lock

#include <splitvit/core/error.hpp>          // Reason, TransportError, WireError
#include <splitvit/core/workspace.hpp>      // Workspace
#include <splitvit/split/group.hpp>         // Group, SavesGroup
#include <splitvit/split/known_client.hpp>  // KnownClient
#include <splitvit/split/lateness.hpp>      // Lateness
#include <splitvit/split/messages.hpp>      // weights_payload
#include <splitvit/split/waiting.hpp>       // Waiting
#include <splitvit/transport/concepts.hpp>  // Clock, deadline_in
#include <splitvit/wire/connection.hpp>     // Connection, Event

namespace splitvit::inline SPLITVIT_BUILD::split {

/// Whether a server waits while another client must do something first, or refuses.
enum class Patience {
  waits,    ///< the thread waits; others serve the other clients
  refuses,  ///< std::logic_error: the one thread of all clients would wait for itself
};

/// What a server computes for the messages of its clients. Several threads may call it; one of them
/// computes at a time. Clients of a group wait for each other as it says. Between the parts of a
/// step the other clients of the same learner wait.
template <std::floating_point T>
class Answering {
 public:
  /// See ServerOptions.
  explicit Answering(std::chrono::nanoseconds part_timeout) : part_timeout_{part_timeout} {}

  /// Held by the thread that computes.
  std::mutex& guard() { return computing_; }
  /// Makes the clients a group. Before anybody is served.
  void use(std::shared_ptr<Group<T>> group) {
    if (group->deadline().count() > 0) lateness_.emplace(group->deadline());
    group_ = std::move(group);
  }
  const std::shared_ptr<Group<T>>& group() const { return group_; }
  /// Has the group saved whenever turns were given. Before anybody is served.
  void save_by(std::shared_ptr<SavesGroup<T>> saved) { saved_ = std::move(saved); }
  const std::shared_ptr<SavesGroup<T>>& saved() const { return saved_; }

  /// Those clients of a group for whom all others wait; none while a thread computes.
  std::vector<std::uint32_t> awaited() {
    const std::unique_lock computing{computing_, std::try_to_lock};
    if (!computing || !group_) return {};
    return group_->awaited();
  }

  /// How many clients of a group were skipped and have not come back; 0 before the training is
  /// over, and while a thread computes.
  std::uint32_t away_at_end() {
    const std::unique_lock computing{computing_, std::try_to_lock};
    if (!computing || !group_ || !group_->is_over()) return 0;
    std::uint32_t away = 0;
    for (std::uint32_t client = 1; client <= group_->clients(); ++client)
      away += group_->is_away(client);
    return away;
  }

  static WireError superseded() {
    return {Reason::superseded, "a newer connection of this client has taken over"};
  }

  /// Answers a message of a client; false after a goodbye.
  /// Errors  WireError for an invalid message, or a client that was superseded.
  bool operator()(wire::Connection& connection, const std::shared_ptr<KnownClient<T>>& known,
                  const wire::Event& event, Patience patience);

  /// Gives a client that has asked for it its turn, once it has come.
  void give_turn(wire::Connection& connection, KnownClient<T>& client, Patience patience);

  /// Forgets a client's step if some of its parts have come, and returns whether. Only while
  /// nobody else computes.
  bool abandon(KnownClient<T>& client) {
    if (std::erase_if(under_way_, is_of(client)) == 0) return false;
    client.role.discard();
    waiting_.wake();
    return true;
  }

 private:
  /// A step of which some parts have come.
  struct UnderWay {
    std::shared_ptr<KnownClient<T>> client;
    wire::Time since;  // the newest part
  };
  static auto is_of(const KnownClient<T>& client) {
    return [&client](const UnderWay& one) { return one.client.get() == &client; };
  }

  /// Returns whether the step is complete.
  bool train(wire::Connection& connection, const std::shared_ptr<KnownClient<T>>& known,
             const wire::Event& event, std::uint64_t largest);

  /// Whether no other client's step is under way on the same learner. One that takes too long, or
  /// was superseded, is discarded.
  bool is_free_for(KnownClient<T>& client) {
    const auto& learner = client.role.shared_learner();
    const auto other = std::ranges::find_if(under_way_, [&](const UnderWay& one) {
      return one.client.get() != &client && one.client->role.shared_learner() == learner;
    });
    if (other == under_way_.end()) return true;
    const auto of_other = other->client;
    const bool is_late =
        transport::Clock::now() >= transport::deadline_in(part_timeout_, other->since);
    if (const auto connection = of_other->connection.lock(); is_late && connection)
      connection->end(TransportError(
          Reason::timed_out, "the next part of the step did not come, and others waited for it"));
    return (is_late || of_other->was_superseded()) && abandon(*of_other);
  }

  /// Waits until `is_ready()`, while the connection lives.
  void wait(std::unique_lock<std::mutex>& computing, wire::Connection& connection,
            KnownClient<T>& client, Patience patience, const auto& is_ready) {
    if (is_ready()) return;
    if (patience == Patience::refuses)
      throw std::logic_error("Server: a client waits for others, and no thread serves them");
    waiting_.wait(computing, is_ready, [&] {
      skip_late();
      connection.session();  // throws if it is over
      if (client.was_superseded()) throw superseded();
    });
  }

  /// Has the group go on without those that are late.
  void skip_late() {
    if (!lateness_) return;
    const auto late = lateness_->late(group_->awaited());
    if (late.empty()) return;
    const std::uint64_t given = group_->turns_given();
    for (const std::uint32_t client : late) {
      const auto at = std::ranges::find_if(
          under_way_, [client](const UnderWay& one) { return one.client->state.client == client; });
      if (at != under_way_.end()) {
        const auto known = at->client;  // which the list lets go
        abandon(*known);
      }
      group_->skip(client);
    }
    save_if_given(given);
    waiting_.wake();
  }
  void save_if_given(std::uint64_t before) {
    if (saved_ && group_->turns_given() > before) saved_->save();
  }

  std::chrono::nanoseconds part_timeout_;
  std::vector<UnderWay> under_way_;       // at most one on each learner
  std::shared_ptr<Group<T>> group_;       // null without one
  std::optional<Lateness> lateness_;      // of its clients, if it has a deadline
  std::shared_ptr<SavesGroup<T>> saved_;  // null unless checkpoints of it are kept
  std::mutex computing_;                  // one thread computes
  Waiting waiting_;                       // for what others do
  Workspace workspace_;                   // of the thread that computes
};

template <std::floating_point T>
bool Answering<T>::operator()(wire::Connection& connection,
                              const std::shared_ptr<KnownClient<T>>& known,
                              const wire::Event& event, Patience patience) {
  KnownClient<T>& client = *known;
  const std::uint32_t number = client.state.client;
  std::optional<Lateness::Hearing> hearing;
  if (lateness_) hearing.emplace(*lateness_, number);
  std::unique_lock computing{computing_};
  if (client.was_superseded()) throw superseded();
  using enum wire::MessageKind;
  if (event.kind != forward && std::ranges::any_of(under_way_, is_of(client)))
    throw WireError(Reason::wrong_message,
                    {wire::name(event.kind), " came between the parts of a step"});
  if (event.kind == forward || event.kind == weights)
    wait(computing, connection, client, patience, [&] {
      if (group_ && event.kind == forward && group_->is_away(number)) return true;
      return (!group_ || event.kind == weights || group_->may_step(number)) && is_free_for(client);
    });
  const Workspace::Use use{workspace_};
  const std::uint64_t largest = connection.session()->agreed().largest_message;
  const auto reply = [&](wire::MessageKind kind, std::vector<std::byte> payload) {
    client.answer = std::move(payload);
    connection.session()->send(kind, std::array{wire::Bytes{client.answer}});
  };
  if (event.kind == forward && group_ && group_->is_away(number)) {
    connection.session()->drop_step();
    reply(turn, group_->answer_missed(number));
  } else if (event.kind == forward) {
    if (train(connection, known, event, largest)) {
      if (group_) group_->step(number, client.role.last_step());
      waiting_.wake();
    }
  } else if (event.kind == evaluate) {
    reply(evaluated, client.role.answer(event.payload, largest,
                                        group_ ? group_->evaluation(number) : nullptr));
  } else if (event.kind == fetch_weights) {
    reply(weights, weights_payload<T>(client.role.part()));
  } else if (event.kind == weights) {
    client.role.take_decoder(event.payload);
  } else if (event.kind == turn) {
    if (!group_)
      throw WireError(Reason::wrong_message, "turn: this server's clients do not share a model");
    const std::uint64_t given = group_->turns_given();
    group_->ask(number, client.role, event.payload);
    save_if_given(given);
    connection.session()->payloads().release();
    client.awaits_turn = true;
    waiting_.wake();
  } else if (event.kind == checkpoint) {
    reply(checkpoint, client.answer_checkpoint(event.payload, saved_ != nullptr));
  } else if (event.kind == bye) {
    client.end_checkpoints();
  }
  return event.kind != bye;
}

template <std::floating_point T>
void Answering<T>::give_turn(wire::Connection& connection, KnownClient<T>& client,
                             Patience patience) {
  {
    std::unique_lock computing{computing_};
    const std::uint32_t number = client.state.client;
    wait(computing, connection, client, patience, [&] { return group_->has_turn(number); });
    client.answer = group_->answer(number);
    client.awaits_turn = false;
    connection.session()->send(wire::MessageKind::turn, std::array{wire::Bytes{client.answer}});
  }
  connection.flush();
  client.answer = std::vector<std::byte>{};  // it is large and rare; = {} would keep its memory
}

template <std::floating_point T>
bool Answering<T>::train(wire::Connection& connection, const std::shared_ptr<KnownClient<T>>& known,
                         const wire::Event& event, std::uint64_t largest) {
  KnownClient<T>& client = *known;
  client.save_first_checkpoint();
  try {
    std::vector<std::byte>& reply = connection.session()->new_reply();
    client.role.forward({client.state.client, event.at.step, event.at.micro}, event.payload,
                        largest, reply);
    connection.session()->prepare();
    std::erase_if(under_way_, is_of(client));
    if (!client.role.is_complete()) {
      under_way_.push_back({known, transport::Clock::now()});
      connection.session()->reply();
      return false;
    }
    client.role.commit(reply);
    connection.locked()->commit_without_reply();
  } catch (...) {
    if (!abandon(client)) client.role.discard();
    throw;
  }
  client.save_checkpoint_if_due();  // before the reply leaves
  connection.session()->reply_to_last();
  return true;
}

SPLITVIT_ONCE(class Answering<float>);

}  // namespace splitvit::inline SPLITVIT_BUILD::split
