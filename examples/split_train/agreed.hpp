// SPDX-License-Identifier: MIT
#pragma once

#include <optional>  // optional
#include <string>    // string

#include <splitvit/nn/part.hpp>         // Part
#include <splitvit/nn/weights.hpp>      // LoadReport
#include <splitvit/wire/handshake.hpp>  // Settings

#include "split_train/method.hpp"   // Method
#include "split_train/options.hpp"  // Options

// What server and client of split_train must do alike.

namespace split_train {

/// What the handshake calls the text of a method, which a server may take from its client.
inline constexpr const char* method_setting = "compress";

/// What the handshake calls the digest of the data, and its value at a side without files.
inline constexpr const char* data_setting = "data";
inline constexpr const char* no_files = "no files";

/// Compared in the handshake besides what the library compares. `method`, `schedule` and `data`, a
/// digest or no_files, are the client's, or wire::any_value at a server, which looks at them
/// itself.
splitvit::wire::Settings agreed_settings(const Options& options, const std::string& method,
                                         const std::string& schedule, const std::string& data);

/// One party's part of a model, and how --weights were loaded into it.
struct StartedPart {
  splitvit::nn::Part<float> part;
  splitvit::nn::LoadReport loaded = {};
};

/// Blocks first..last-1 of a model, with encoder or decoder where the method has a bottleneck, as
/// they are before the first step: drawn from the seed, or from --weights.
StartedPart started_part(const Options& options, const splitvit::nn::VitConfig& vit, Index first,
                         Index last, const Method& method);

/// The block before which the server's part ends.
Index end_of_server(const Options& options, const splitvit::nn::VitConfig& vit);
/// The server's part: what follows the cut, or with --labels client what lies between both.
splitvit::nn::Part<float> server_part(const Options& options, const splitvit::nn::VitConfig& vit,
                                      const Method& method);
/// With --labels client what follows the second cut, which the client has; else nothing.
std::optional<splitvit::nn::Part<float>> client_tail(const Options& options,
                                                     const splitvit::nn::VitConfig& vit,
                                                     const Method& method);

}  // namespace split_train
