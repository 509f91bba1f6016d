// SPDX-License-Identifier: MIT
#pragma once

#include <array>    // array
#include <cstddef>  // byte
#include <cstdint>  // uint64_t
#include <span>     // span
#include <string>   // string
#include <vector>   // vector

namespace splitvit::test {

/// State of each kind. See core/state.hpp.
struct SomeState {
  std::uint64_t steps = 7;
  double loss = 0.5;
  std::vector<double> rows{1, 2};
  std::vector<std::byte> reply{std::byte{4}, std::byte{5}, std::byte{6}};
  std::array<float, 3> weights{1.5f, -2.0f, 3.25f};
  std::array<double, 2> moments{8, 9};

  void each_state(auto&& see) {
    see(std::string{"steps"}, steps);
    see(std::string{"loss"}, loss);
    see(std::string{"rows"}, rows);
    see(std::string{"reply"}, reply);
    see(std::string{"weights"}, std::span<float>{weights});
    see(std::string{"moments"}, std::span<double>{moments});
  }
  friend bool operator==(const SomeState&, const SomeState&) = default;
};

}  // namespace splitvit::test
