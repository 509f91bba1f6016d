// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min
#include <cmath>      // isfinite

#include <splitvit/core/bytes.hpp>   // ByteReader, ByteWriter
#include <splitvit/core/crc32c.hpp>  // crc32c
#include <splitvit/core/error.hpp>   // Reason
#include <splitvit/nn/concepts.hpp>  // Module, parameters

// The payloads of turn messages. Where several clients share a model, a client asks for its next
// turn, and the server answers when it has come: at once, or after the other clients' steps.

namespace splitvit::inline SPLITVIT_BUILD::split {

/// What an evaluation found, of a client that takes the loss itself: f64 sum of the losses, u64
/// correct, u64 samples. Of the classes it says nothing.
struct Found {
  double loss_sum = 0;
  std::uint64_t correct = 0, samples = 0;

  static constexpr std::size_t bytes = 24;
};

/// What a client sends: u64 turn, u64 steps, u32 start, and its weights, see weights_payload. After
/// an evaluation, one that takes the loss itself sends what it has found instead.
struct TurnRequest {
  std::uint64_t turn = 0;   ///< the number of its last turn; 0: none
  std::uint64_t steps = 0;  ///< that it wants to take in the next one; 0: it has taken them all
  std::uint32_t start = 0;  ///< before the first turn: the checksum of its weights
  std::span<const std::byte> weights = {};  ///< empty if it was not trained since its last turn
  std::optional<Found> found = {};          ///< in place of weights

  std::vector<std::byte> payload() const {
    std::vector<std::byte> out;
    out.reserve(20 + (found ? Found::bytes : weights.size()));
    ByteWriter writer{out};
    writer.put(turn, steps, start);
    if (found)
      writer.put(found->loss_sum, found->correct, found->samples);
    else
      writer.put_bytes(weights);
    return out;
  }
  /// Borrows from the payload. `has_found`: of a client that has evaluated and takes the loss
  /// itself. Errors  WireError: truncated; not_finite for the loss; malformed for more correct
  /// samples than
  ///         there are, and for bytes behind what was found.
  static TurnRequest read(std::span<const std::byte> payload, bool has_found = false) {
    ByteReader in{payload, "turn"};
    TurnRequest request;
    in.get_to(request.turn, request.steps, request.start);
    if (!has_found) {
      request.weights = in.get_bytes(in.left());
      return request;
    }
    Found& found = request.found.emplace();
    in.get_to(found.loss_sum, found.correct, found.samples);
    in.expect_end();
    if (!std::isfinite(found.loss_sum)) in.refuse(Reason::not_finite, {"loss ", found.loss_sum});
    if (found.correct > found.samples)
      in.refuse(Reason::malformed, {found.correct, " of ", found.samples, " samples are correct"});
    return request;
  }
};

/// What the server answers: u64 number, u64 round, u64 steps, u8 what, and weights or nothing.
struct Turn {
  enum class What : std::uint8_t {
    train,     ///< take `steps` steps
    evaluate,  ///< evaluate, while nobody trains
    over,      ///< the training is over
    missed,    ///< in place of the answer to a step: the others have gone on; ask for the next turn
  };

  std::uint64_t number = 0;  ///< of this client's turns, from 1; it has missed those left out
  std::uint64_t round = 0;   ///< that begins; where nobody trains, the one that is over
  std::uint64_t steps = 0;
  What what = What::over;
  std::span<const std::byte> weights = {};  ///< to go on from; empty if the client has them

  std::vector<std::byte> payload() const {
    std::vector<std::byte> out;
    out.reserve(25 + weights.size());
    ByteWriter writer{out};
    writer.put(number, round, steps, static_cast<std::uint8_t>(what));
    writer.put_bytes(weights);
    return out;
  }
  /// Borrows from the payload. Errors  WireError: truncated; malformed for another `what`;
  ///                                   wrong_step for a number below `least`.
  static Turn read(std::span<const std::byte> payload, std::uint64_t least) {
    ByteReader in{payload, "turn"};
    Turn turn;
    std::uint8_t what = 0;
    in.get_to(turn.number, turn.round, turn.steps, what);
    turn.what = static_cast<What>(what);
    if (turn.what > What::missed) in.refuse(Reason::malformed, {"'what' is ", what});
    if (turn.number < least)
      in.refuse(Reason::wrong_step, {"turn ", turn.number, " came, wanted turn ", least});
    turn.weights = in.get_bytes(in.left());
    return turn;
  }
};

/// The steps of a client: all of them, and how many it takes in a turn.
struct TurnPlan {
  std::uint64_t steps = 0;
  std::uint64_t per_turn = 1;

  /// The steps of its next turn, if it has taken so many.
  std::uint64_t next(std::uint64_t taken) const {
    return std::min(per_turn, steps - std::min(steps, taken));
  }
};

/// A checksum of all weights of a module. Equal weights have equal ones.
template <std::floating_point T, nn::Module<T> M>
std::uint32_t weights_checksum(const M& module) {
  std::uint32_t sum = 0;
  for (const auto& [name, parameter] : nn::parameters<T>(module))
    sum = crc32c(std::as_bytes(parameter.value().span()), sum);
  return sum;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::split
