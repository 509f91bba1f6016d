// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>  // uint32_t, uint64_t

#include <splitvit/core/random.hpp>  // Rng

// StepId: the client, step and part of a message. Random draws depend only on it and the seed.

namespace splitvit::split {

/// Numbers a forward message and its answer.
struct StepId {
  std::uint32_t client = 0;  ///< number of the client
  std::uint64_t step = 0;    ///< of this client, from 1
  std::uint32_t micro = 0;   ///< part of the step, from 0

  friend bool operator==(const StepId&, const StepId&) = default;
};

/// What a random draw is for.
enum class Purpose : std::uint64_t {
  sending = 0x73746167,    ///< stage and codec, at the sending end of the cut
  answering = 0x636f6465,  ///< codec, at the receiving end
};

/// The generator of one end of the cut for one StepId. It does not depend on earlier draws.
inline Rng draws(std::uint64_t seed, Purpose purpose, const StepId& id) {
  return Rng{.seed = seed}.at(static_cast<std::uint64_t>(purpose), id.step,
                              (std::uint64_t{id.client} << 32) | id.micro);
}

}  // namespace splitvit::split
