// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point
#include <string>    // string, to_string

#include <splitvit/nn/cut.hpp>          // VitConfig
#include <splitvit/wire/handshake.hpp>  // Settings

// What two parties must agree on before they train together.

namespace splitvit::split {

/// The handshake's settings: the model and where it is cut, the type of its numbers, how
/// activations are compressed and written, and whatever else a program wants to be equal.
template <std::floating_point T>
wire::Settings settings_of(const nn::VitConfig& c, Index cut, const std::string& method,
                           const std::string& codec, const wire::Settings& more) {
  wire::Settings all = {{"image", std::to_string(c.image)},
                        {"patch", std::to_string(c.patch)},
                        {"channels", std::to_string(c.channels)},
                        {"dim", std::to_string(c.dim)},
                        {"heads", std::to_string(c.heads)},
                        {"depth", std::to_string(c.depth)},
                        {"mlp_ratio", std::to_string(c.mlp_ratio)},
                        {"classes", std::to_string(c.classes)},
                        {"cut", std::to_string(cut)},
                        {"numbers", sizeof(T) == 4 ? "float32" : "float64"},
                        {"method", method},
                        {"codec", codec}};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace splitvit::split
