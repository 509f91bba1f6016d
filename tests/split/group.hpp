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
  /// The batches of a client, of a size of its own.
  std::function<typename RandomBatches<T>::Batch()> batches(std::uint32_t client) const {
    return [all = RandomBatches<T>{.samples = 4 + Index{client},
                                   .rng = Rng{.seed = 11}.at(client)}]() mutable {
      return all.make();
    };
  }

  void add_all(split::Simulation<T>& simulation) const {
    for (std::uint32_t client = 1; client <= clients(); ++client)
      simulation.add(role(), client_options(client), {plan(client), batches(client)});
  }
};

/// The sharing policy of this name.
template <class T>
split::AnySharing<T> sharing_named(const std::string& name) {
  if (name == "relay") return split::Relay{};
  if (name == "averaged") return split::Averaged{};
  return split::Shared{};
}

}  // namespace splitvit::test
