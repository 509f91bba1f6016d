// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>      // milliseconds
#include <cstdint>     // uint32_t
#include <exception>   // current_exception, exception_ptr
#include <functional>  // function
#include <memory>      // make_unique, unique_ptr
#include <optional>    // optional
#include <string>      // string
#include <thread>      // jthread, sleep_for
#include <utility>     // move, pair
#include <vector>      // vector

#include <splitvit/codec/any_codec.hpp>     // AnyCodec
#include <splitvit/compress/any_stage.hpp>  // AnyStage
#include <splitvit/compress/then.hpp>       // Identity
#include <splitvit/nn/part.hpp>             // make_part
#include <splitvit/optim/optimizer.hpp>     // AnyRule
#include <splitvit/split/client_parts.hpp>  // ClientParts
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
  /// The clients keep their labels: what follows is their tail.
  std::optional<Index> second_cut = {};

  std::uint32_t clients() const { return static_cast<std::uint32_t>(steps.size()); }

  split::Server<T> server() const {
    split::GroupOptions group = options;
    group.clients = clients();
    return {sharing, group, [this] { return part_of_server(); }, rule, codec, {.seed = 3}};
  }
  nn::Part<T> part_of_server() const {
    nn::Part<T> part = server_part<T>();
    if (!second_cut) return part;
    part = nn::make_part<T>(part.config, part.first, *second_cut, start);
    part.classifier.reset();
    return part;
  }
  split::ClientParts<T> parts() const {
    split::ClientParts<T> all{client_part<T>()};
    if (second_cut) all.tail = nn::make_part<T>(small_vit, *second_cut, small_vit.depth, start);
    return all;
  }
  split::ClientRole<T> role() const {
    auto [first, tail] = parts();
    return {split::Learner<T>{std::move(first), rule, {}, {}, std::move(tail)},
            split::CutSender<T>{stage, codec, 3}};
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

/// What the evaluator of a group evaluates with.
inline RandomBatches<float> test_images() { return {.left = 2, .rng = Rng{.seed = 99}}; }

/// Trains a connected client of the group until the training is over, and says goodbye. `pause` is
/// called before each of its steps.
inline void train_to_end(const ClientGroup<float>& group, split::Client<float>& client,
                         std::uint32_t number, const std::function<void()>& pause) {
  auto next = group.batches(number);
  while (true) {
    client.request_turn(group.plan(number).next(client.steps()));
    const split::Turn turn = client.await_turn();
    if (turn.what == split::Turn::What::over) break;
    if (turn.what == split::Turn::What::evaluate) client.evaluate(test_images());
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
    weights.push_back(numbers_of<float>(client.role().parts()));
    cut.push_back(client.traffic(split::Column::training));
    shared.push_back(client.traffic(split::Column::weights));
  }
  void add(const split::Server<float>& server) {
    weights.push_back(numbers_of<float>(server.part()));
    weights.push_back(numbers_of<float>(server.group()->client_parts()));
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
  simulation.run(
      [](split::Client<float>&, const split::StepReport&) {},
      [](split::Client<float>& client, std::uint64_t) { client.evaluate(test_images()); });
  GroupResult result;
  for (std::uint32_t i = 1; i <= group.clients(); ++i) result.add(simulation.client(i));
  result.add(server);
  return result;
}

/// A training over TCP, each client in a thread of its own that is sometimes slow.
inline GroupResult train_over_tcp(const ClientGroup<float>& group, std::uint64_t delays) {
  split::Server<float> server = group.server();
  std::vector<std::unique_ptr<Serving<split::Server<float>>>> serving;
  std::vector<std::unique_ptr<split::Client<float>>> clients(group.clients());
  std::vector<std::exception_ptr> errors(group.clients());
  std::vector<transport::TcpLink> links;
  for (std::uint32_t i = 0; i < group.clients(); ++i) {
    auto [near, far] = tcp_pair();
    links.push_back(std::move(near));
    serving.push_back(std::make_unique<Serving<split::Server<float>>>(server, std::move(far)));
  }
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t i = 0; i < group.clients(); ++i)
      threads.emplace_back([&, i] {
        try {
          Rng delay = Rng{.seed = delays}.at(i);
          const auto pause = [&] {
            std::this_thread::sleep_for(std::chrono::milliseconds{delay.below(6)});
          };
          pause();
          clients[i] = std::make_unique<split::Client<float>>(group.role(), std::move(links[i]),
                                                              group.client_options(i + 1));
          train_to_end(group, *clients[i], i + 1, pause);
        } catch (...) {
          errors[i] = std::current_exception();
        }
      });
  }
  GroupResult result;
  for (std::uint32_t i = 0; i < group.clients(); ++i) {
    if (errors[i]) std::rethrow_exception(errors[i]);
    serving[i]->finish();
    result.add(*clients[i]);
  }
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
