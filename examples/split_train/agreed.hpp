// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string, to_string

#include <splitvit/io/safetensors.hpp>  // read_safetensors
#include <splitvit/nn/weights.hpp>      // load_weights
#include <splitvit/report/format.hpp>   // shortest
#include <splitvit/wire/handshake.hpp>  // Settings

#include "split_train/options.hpp"   // Options
#include "split_train/schedule.hpp"  // schedule_setting

// What server and client of split_train must do alike.

namespace split_train {

/// What the handshake calls the text of a method, which a server may take from its client.
inline constexpr const char* method_setting = "compress";

/// Compared in the handshake besides what the library compares. `method` and
/// `schedule` are texts, or wire::any_value at a server that takes the client's.
inline splitvit::wire::Settings agreed_settings(const Options& options, const std::string& method,
                                                const std::string& schedule) {
  return {{"seed", std::to_string(options.seed)},
          {"lr", splitvit::report::shortest(options.lr)},
          {"weight_decay", splitvit::report::shortest(options.weight_decay)},
          {schedule_setting, schedule},
          {"start", options.weights.empty() ? "random" : "weights"},
          {method_setting, method}};
}

/// Fills a part of a model from --weights, where given.
template <class Part>
splitvit::nn::LoadReport start_weights(const Part& part, const splitvit::nn::VitConfig& vit,
                                       const std::string& path) {
  if (path.empty()) return {};
  return splitvit::nn::load_weights<float>(part, vit, splitvit::io::read_safetensors(path));
}

}  // namespace split_train
