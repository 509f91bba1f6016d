// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>     // uint32_t
#include <functional>  // function
#include <string>      // string
#include <utility>     // move, pair
#include <vector>      // vector

#include <splitvit/codec/any_codec.hpp>     // AnyCodec
#include <splitvit/compress/any_stage.hpp>  // AnyStage
#include <splitvit/compress/then.hpp>       // Identity
#include <splitvit/optim/optimizer.hpp>     // AnyRule
#include <splitvit/split/simulation.hpp>    // Simulation

#include "split/loopback.hpp"  // client_part, numbers_of, RandomBatches, server_part

// Several clients of small_vit that train one model.

namespace splitvit::test {

/// Clients of one group, and what they train on. Client i takes steps[i - 1] steps.
template <class T>
struct ClientGroup {
  split::AnySharing<T> sharing = split::Shared{};
  std::vector<std::uint64_t> steps{4, 2, 3};
  std::uint64_t per_turn = 2;
  optim::AnyRule<T> rule = optim::Adam{.lr = 1e-2};
  compress::AnyStage<T> stage = compress::Identity{};
  codec::AnyCodec<T> codec = {};
  split::GroupOptions options = {};

  std::uint32_t clients() const { return static_cast<std::uint32_t>(steps.size()); }

  split::Server<T> server() const {
    split::GroupOptions group = options;
    group.clients = clients();
    return {sharing, group, [] { return server_part<T>(); }, rule, codec, {.seed = 3}};
  }
  split::ClientRole<T> role() const {
    return {split::Learner<T>{client_part<T>(), rule}, split::CutSender<T>{stage, codec, 3}};
  }
  split::ClientOptions client_options(std::uint32_t client) const {
    return {.seed = 3, .client = client};
  }
  split::TurnPlan plan(std::uint32_t client) const {
    return {.steps = steps[client - 1], .per_turn = per_turn};
  }
  /// The batch of a step of a client, counted from 0; its size is the client's own.
  static typename RandomBatches<T>::Batch batch(std::uint32_t client, std::uint64_t step) {
    return RandomBatches<T>{.samples = 4 + Index{client}, .rng = Rng{.seed = 11}.at(client, step)}
        .make();
  }
  static std::function<typename RandomBatches<T>::Batch()> batches(std::uint32_t client) {
    return [client, step = std::uint64_t{0}]() mutable { return batch(client, step++); };
  }

  void add_all(split::Simulation<T>& simulation) const {
    for (std::uint32_t client = 1; client <= clients(); ++client)
      simulation.add(role(), client_options(client), {plan(client), batches(client)});
  }
};

/// Trains a connected client of the group until the training is over, and says goodbye. `pause` is
/// called before each of its steps.
inline void train_to_end(const ClientGroup<float>& group, split::Client<float>& client,
                         std::uint32_t number, const std::function<void()>& pause) {
  auto next = group.batches(number);
  while (true) {
    client.request_turn(group.plan(number).next(client.steps()));
    const split::Turn turn = client.await_turn();
    if (turn.what == split::Turn::What::over) break;
    for (std::uint64_t step = 0; step < turn.steps; ++step) {
      pause();
      auto [images, labels] = next();
      client.train_step(std::move(images), labels);
    }
  }
  client.close();
}

/// What a training of a group leaves: weights, and the bytes of each client.
struct GroupResult {
  std::vector<std::vector<float>> weights = {};
  std::vector<split::Traffic> cut = {}, shared = {};

  void add(const split::Client<float>& client) {
    weights.push_back(numbers_of<float>(client.part()));
    cut.push_back(client.traffic(split::Column::training));
    shared.push_back(client.traffic(split::Column::weights));
  }
  void add(const split::Server<float>& server) {
    weights.push_back(numbers_of<float>(server.part()));
    weights.push_back(numbers_of<float>(server.group()->client_part()));
    for (std::uint32_t i = 1; const auto session = server.session_of(i); ++i) {
      cut.push_back(split::traffic_of(*session, split::Column::training, true));
      shared.push_back(split::traffic_of(*session, split::Column::weights, true));
    }
  }
  friend bool operator==(const GroupResult&, const GroupResult&) = default;
};

inline GroupResult simulate(const ClientGroup<float>& group) {
  split::Server<float> server = group.server();
  split::Simulation<float> simulation{server};
  group.add_all(simulation);
  simulation.run();
  GroupResult result;
  for (std::uint32_t i = 1; i <= group.clients(); ++i) result.add(simulation.client(i));
  result.add(server);
  return result;
}

/// The sharing policy of this name.
template <class T>
split::AnySharing<T> sharing_named(const std::string& name) {
  if (name == "relay") return split::Relay{};
  if (name == "averaged") return split::Averaged{};
  return split::Shared{};
}

}  // namespace splitvit::test
