// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>     // uint64_t
#include <functional>  // function
#include <string>      // string

// The learning rate of each step, the same for both parties: the client knows how many steps there
// will be, and says so in the handshake.

namespace split_train {

/// What the handshake calls the text of a schedule.
inline constexpr const char* schedule_setting = "schedule";

/// A schedule as the handshake has it, "cosine,STEPS,WARMUP" or "constant,0,WARMUP": the rate rises
/// for WARMUP of STEPS steps, then falls in half a cosine wave, or stays.
std::string schedule_text(bool cosine, std::uint64_t steps, std::uint64_t warmup);

/// The learning rate of a step, counted from 0.
/// Errors  std::invalid_argument for a text that schedule_text does not write.
std::function<double(std::uint64_t step)> schedule_of(const std::string& text, double lr);

}  // namespace split_train
