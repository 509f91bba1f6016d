// SPDX-License-Identifier: MIT
#pragma once

#include <memory>  // shared_ptr

#include <splitvit/split/learner.hpp>  // Learner
#include <splitvit/split/turn.hpp>     // Turn

namespace splitvit::inline SPLITVIT_BUILD::split {

/// What a server's Aggregator knows of one client.
template <std::floating_point T>
struct GroupMember {
  /// An `average`: it `trained` since it has taken one.
  static constexpr std::uint64_t trained = ~std::uint64_t{0};

  std::shared_ptr<Learner<T>> learner = {};
  bool waits = false;                   ///< for the answer to a request
  std::uint64_t last_turn = 0;          ///< in that request
  std::uint64_t requests = 0;           ///< for a turn, repeated ones not counted
  std::uint64_t turns = 0;              ///< that it was given
  Turn turn = {};                       ///< the last one, without weights
  bool takes = false;                   ///< weights, with that turn
  bool has_heard = true;                ///< of that turn
  std::uint64_t average = 0;            ///< that it has; 0: its start
  std::uint64_t images = 0;             ///< that it has trained on when its weights came
  std::uint64_t samples = 0;            ///< of them since the time before
  bool has_come = false;                ///< its weights of this round
  std::vector<std::byte> weights = {};  ///< that came and are not added yet

  /// It has asked for its next turn.
  void await(std::uint64_t after) {
    waits = true;
    last_turn = after;
  }
  /// Its weights have come; it has trained on `all_images` since the beginning.
  void came(std::span<const std::byte> bytes, std::uint64_t all_images) {
    has_come = true;
    samples = all_images - std::exchange(images, all_images);
    weights.assign(bytes.begin(), bytes.end());
  }
  /// It goes on from an earlier state, of a time when turns had been given and none had begun.
  void went_back(std::shared_ptr<Learner<T>> its_learner) {
    learner = std::move(its_learner);
    waits = has_come = false;
    has_heard = true;
    weights = std::vector<std::byte>{};  // = {} would keep their memory
  }

  /// The numbers that a checkpoint keeps.
  void each_number(const auto& use) {
    use(requests);
    use(turns);
    use(turn.number);
    use(turn.round);
    use(turn.steps);
    use(turn.what);
    use(takes);
    use(average);
    use(images);
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
