// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point
#include <cstddef>   // size_t
#include <optional>  // optional
#include <string>    // string, to_string

#include <splitvit/core/error.hpp>      // ShapeError
#include <splitvit/nn/part.hpp>         // Part
#include <splitvit/wire/handshake.hpp>  // Settings

// What two parties must agree on before they train together.

namespace splitvit::split {

namespace detail {

inline wire::Settings settings_of(const nn::VitConfig& c, Index cut, std::size_t number_size,
                                  const std::string& method, const std::string& bottleneck,
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
                        {"numbers", number_size == 4 ? "float32" : "float64"},
                        {"method", method},
                        {"bottleneck", bottleneck},
                        {"codec", codec}};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

/// The description of an encoder or a decoder; "none" without one.
/// Errors  ShapeError if its wide side is not as wide as the model's tokens.
template <class Network>
std::string bottleneck_text(const std::optional<Network>& network, Index dim) {
  if (!network) return "none";
  if (network->token_width() != dim)
    throw ShapeError("bottleneck: it is made for tokens of width " +
                     std::to_string(network->token_width()) + ", the model has width " +
                     std::to_string(dim));
  return network->options.description();
}

}  // namespace detail

/// The handshake's settings: the model and where it is cut, the type of its numbers, how
/// activations are compressed and written, and the settings that a program adds.
///
/// `part` is the client part or the server part. Both give the same settings.
/// Errors  ShapeError for a bottleneck that does not fit the model.
template <std::floating_point T>
wire::Settings settings_of(const nn::Part<T>& part, const std::string& method,
                           const std::string& codec, const wire::Settings& more) {
  const Index dim = part.config.dim;
  const bool last = part.classifier.has_value();
  return detail::settings_of(part.config, last ? part.first : part.last, sizeof(T), method,
                             last ? detail::bottleneck_text(part.decoder, dim)
                                  : detail::bottleneck_text(part.encoder, dim),
                             codec, more);
}

}  // namespace splitvit::split
