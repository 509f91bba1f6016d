// SPDX-License-Identifier: MIT
#pragma once

#include <functional>  // function
#include <memory>      // make_shared, make_unique, shared_ptr, unique_ptr

#include <splitvit/core/error.hpp>                // ArgumentError, joined, ReasonedError
#include <splitvit/core/labels.hpp>               // Labels
#include <splitvit/core/workspace.hpp>            // Workspace
#include <splitvit/split/aggregator.hpp>          // Aggregator
#include <splitvit/split/client.hpp>              // Client, ClientOptions, ClientRole, StepReport
#include <splitvit/split/detail/driven_link.hpp>  // DrivenLink
#include <splitvit/split/server.hpp>              // Server
#include <splitvit/split/turn.hpp>                // Turn, TurnPlan
#include <splitvit/tensor/tensor.hpp>             // Tensor
#include <splitvit/transport/any_link.hpp>        // AnyLink
#include <splitvit/wire/connection.hpp>           // Connection, options_on, Session

namespace splitvit::inline SPLITVIT_BUILD::split {

/// A server and all clients of its group in one thread: the same clients, sessions, messages and
/// counts of bytes as over a network, and the same bits as there under Order::fixed. All steps use
/// the same memory, so a client takes that of its weights, its optimiser and its messages.
///
///   Server<float> server{Shared{}, {.clients = 100}, make_part, Adam{}};
///   Simulation simulation{server};
///   for (std::uint32_t i = 1; i <= 100; ++i)
///     simulation.add(role_of(i), {.client = i}, {{.steps = 50, .per_turn = 10}, batches_of(i)});
///   simulation.run();
///
/// Errors  What a party throws ends the simulation, and is thrown by add or run.
template <std::floating_point T>
class Simulation {
 public:
  /// What a client trains on. `next` is called for each of its steps and returns a batch: its
  /// `images` and its `labels`, as in BatchSource.
  struct Work {
    template <class Next>
    Work(const TurnPlan& p, Next next)
        : plan{p}, next_batch{[next = std::make_shared<Next>(std::move(next))] {
            auto batch = (*next)();
            return std::pair<Tensor<T>, Labels>{std::move(batch.images), std::move(batch.labels)};
          }} {}

    TurnPlan plan;
    std::function<std::pair<Tensor<T>, Labels>()> next_batch;
  };
  /// Is told of each step.
  using OnStep = std::function<void(Client<T>&, const StepReport&)>;
  /// Evaluates, if the server's group has an evaluator, which is this client. Nobody trains.
  using OnEvaluate = std::function<void(Client<T>&, std::uint64_t round)>;

  /// Errors  std::invalid_argument for a server without a group of clients.
  explicit Simulation(Server<T>& server) : server_{server} {
    if (server.group() == nullptr)
      throw ArgumentError({"Simulation: the server has no group of clients"});
  }

  /// Adds the next client; they come in the order of their numbers, from 1.
  ///
  /// Errors  std::invalid_argument for another number, or more clients than are registered.
  Client<T>& add(ClientRole<T> role, ClientOptions options, Work work) {
    if (options.client != all_.size() + 1)
      throw ArgumentError(
          {"Simulation: client ", options.client, " came, wanted client ", all_.size() + 1});
    if (options.client > server_.group()->clients())
      throw ArgumentError({"Simulation: client ", options.client, " came, ",
                           server_.group()->clients(), " are registered"});
    options.workspace = workspace_;
    all_.push_back(std::make_unique<One>(std::move(role), options, std::move(work)));
    return all_.back()->client;
  }
  Client<T>& client(std::uint32_t number) { return all_.at(std::size_t{number} - 1)->client; }

  /// The clients, with their sessions. See core/state.hpp. Saved with the server's checkpoints, and
  /// restored before they are connected, they go on from there.
  void each_state(auto&& see) {
    for (const auto& one : all_)
      show_state(one->client, see, "client." + std::to_string(one->number) + ".");
  }

  /// Connects all clients, unless they are.
  void connect() {
    for (const auto& one : all_)
      if (!one->serving) one->connect(server_);
  }

  /// Trains until all clients have taken their steps, and says goodbye.
  ///
  /// Errors  std::logic_error unless all registered clients have been added, and after a run.
  void run(
      const OnStep& on_step = [](Client<T>&, const StepReport&) {},
      const OnEvaluate& on_evaluate = [](Client<T>&, std::uint64_t) {}) {
    const Aggregator<T>& group = *server_.group();
    if (group.rounds().clients() != all_.size() || std::exchange(has_run_, true))
      throw std::logic_error(joined({"Simulation: ", all_.size(), " of ", group.rounds().clients(),
                                     " clients to begin with"}));
    connect();
    for (const auto& one : all_) one->ask();
    while (!group.is_over())
      for (std::vector<One*> some = take_turns(on_evaluate); !some.empty();)
        std::erase_if(some, [&](One* one) { return !one->train(on_step); });
    take_turns(on_evaluate);
    for (const auto& one : all_) {
      one->client.close();
      one->serving->next();
    }
  }

 private:
  using Link = detail::DrivenLink;

  /// A client, and the server's end of its connection.
  struct One {
    One(ClientRole<T> role, const ClientOptions& options, Work w)
        : number{options.client}, work{std::move(w)}, client{std::move(role), options} {}

    void connect(Server<T>& server) {
      auto [here, there] = Link::pair();
      transport::AnyLink any{std::move(there)};
      auto session = wire::Session::server(wire::options_on(any, server.options().session),
                                           transport::Clock::now());
      serving.emplace(server,
                      std::make_shared<wire::Connection>(std::move(any), std::move(session)));
      here.drive_by([this] { go_on(); });
      client.reconnect(std::move(here));
    }
    void ask() {
      client.request_turn(work.plan.next(client.steps()));
      serving->next();
    }
    /// Takes a step, and asks for the next turn after the last one. Returns whether some are left.
    bool train(const OnStep& on_step) {
      auto [images, labels] = work.next_batch();
      on_step(client, client.train_step(std::move(images), labels));
      const bool some_are_left = client.role().steps_left() > 0;
      if (!some_are_left) ask();
      return some_are_left;
    }

    std::uint32_t number;
    Work work;
    std::optional<typename Server<T>::Serving> serving;  // once it is connected
    Client<T> client;

   private:
    /// The client waits for the server.
    void go_on() {
      try {
        serving->next();
      } catch (const ReasonedError&) {  // the client was told, and throws what it heard
      }
    }
  };

  /// Gives every client its turn that has one; returns those that train.
  std::vector<One*> take_turns(const OnEvaluate& on_evaluate) {
    std::vector<One*> some;
    for (const auto& one : all_) {
      const std::uint32_t number = one->number;
      if (!server_.group()->has_turn(number)) continue;
      const Turn turn = one->client.await_turn();
      if (turn.what == Turn::What::evaluate) {
        on_evaluate(one->client, turn.round);
        one->ask();
        return take_turns(on_evaluate);
      }
      if (turn.what == Turn::What::train) some.push_back(one.get());
    }
    return some;
  }

  Server<T>& server_;
  std::shared_ptr<Workspace> workspace_ = std::make_shared<Workspace>();
  std::vector<std::unique_ptr<One>> all_;  // client i at i - 1
  bool has_run_ = false;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
