// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>      // minutes, nanoseconds
#include <functional>  // function
#include <memory>      // shared_ptr

#include <splitvit/core/error.hpp>            // ShapeError
#include <splitvit/core/workspace.hpp>        // Workspace
#include <splitvit/nn/feedback.hpp>           // Feedback
#include <splitvit/nn/part.hpp>               // Part
#include <splitvit/wire/handshake.hpp>        // Settings, any_value
#include <splitvit/wire/session_options.hpp>  // SessionOptions

namespace splitvit::inline SPLITVIT_BUILD::split {

/// How a party trains, besides its update rule.
struct TrainingOptions {
  /// The learning rate of a step, counted from 0; empty: the rule's own. See optim/schedule.hpp.
  std::function<double(std::uint64_t step)> schedule = {};
  double clip_norm = 0;  ///< gradients of this party are scaled down to this norm; 0: never
};

struct ClientOptions {
  std::uint64_t seed = 0;    ///< of the random draws of stage and codec
  std::uint32_t client = 0;  ///< number of this client; clients with equal seeds draw differently
  std::string method = {};   ///< name of the stage in the handshake; empty: its description
  TrainingOptions training = {};
  nn::Feedback feedback = {};  ///< where its gradient comes from
  /// A batch is cut into so many parts of equal size, or as many as it has images: the next one is
  /// computed and, on a link with deadlines, sent while the server has the one before. The result
  /// depends on the number and not on timing. Stages see a part at a time. 1 to wire::most_parts.
  std::uint32_t micro_batches = 1;
  double drop_patches = 0;  ///< the share of patches, chosen for each image, that no block sees
  /// The weight in this party's loss of the distance correlation between images and tokens at the
  /// cut, before the stages: how much the one says of the other. 0: none. The loss in reports is
  /// without it.
  double distance_correlation = 0;
  wire::SessionOptions session = {};  ///< times and limits
  /// What else must be the same on both sides, such as {"seed", "7"}; see wire/handshake.hpp.
  wire::Settings agreed = {};
  /// Memory of the steps, for clients that one thread drives; each has its own unless given.
  std::shared_ptr<Workspace> workspace = {};
};

struct ServerOptions {
  std::uint64_t seed = 0;                ///< of the random draws of the codec
  std::string method = wire::any_value;  ///< the name that the client must give its stage
  TrainingOptions training = {};
  wire::SessionOptions session = {};  ///< times and limits
  wire::Settings agreed = {};         ///< as the client's
  /// Sessions that are open, or kept so that a client whose link broke can come back. Where there
  /// is no room for a new one, the oldest that is not open is forgotten.
  std::size_t most_sessions = 64;
  /// How long a session is kept after its link broke.
  std::chrono::nanoseconds keep_for = std::chrono::minutes{10};
  /// How long other clients of the same part wait between two parts of a client's step. Then it is
  /// discarded, and the connection ends.
  std::chrono::nanoseconds part_timeout = std::chrono::minutes{10};
};

/// The handshake's settings: the model and where it is cut, the type of its numbers, how
/// activations are compressed and written, and `more`. Both parties of a model give the same; a
/// client that has the last part, too, names the cut before that one.
///
/// Errors  ShapeError for an encoder or a decoder that does not fit the model.
template <std::floating_point T>
wire::Settings settings_of(const nn::Part<T>& part, const std::string& method,
                           const std::string& codec, const wire::Settings& more,
                           std::optional<Index> second_cut = {}) {
  const nn::VitConfig& vit = part.config;
  const auto description_of = [&](const auto& network) -> std::string {
    if (!network) return "none";
    if (network->token_width() != vit.dim)
      throw ShapeError({"bottleneck: it is made for tokens of width ", network->token_width(),
                        ", the model has width ", vit.dim});
    return network->options.description();
  };
  const bool is_server = !part.stem;
  if (is_server && !part.classifier) second_cut = part.last;
  const std::pair<const char*, Index> sizes[] = {
      {"image", vit.image},         {"patch", vit.patch},
      {"channels", vit.channels},   {"dim", vit.dim},
      {"heads", vit.heads},         {"depth", vit.depth},
      {"mlp_ratio", vit.mlp_ratio}, {"classes", vit.classes}};
  wire::Settings all;
  for (const auto& [key, size] : sizes) all.push_back({key, std::to_string(size)});
  all.push_back({"cut", std::to_string(is_server ? part.first : part.last)});
  if (second_cut) all.back().value += "," + std::to_string(*second_cut);
  all.push_back({"numbers", sizeof(T) == 4 ? "float32" : "float64"});
  all.push_back({"method", method});
  all.push_back(
      {"bottleneck", is_server ? description_of(part.decoder) : description_of(part.encoder)});
  all.push_back({"codec", codec});
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::split
