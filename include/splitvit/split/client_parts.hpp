// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/nn/part.hpp>  // Part

namespace splitvit::inline SPLITVIT_BUILD::split {

/// What a client has of a model: the part before the cut, and where it keeps its labels the tail,
/// the part behind a second cut. A Module; a copy shares the parameters.
template <std::floating_point T>
struct ClientParts {
  nn::Part<T> first;
  std::optional<nn::Part<T>> tail = {};

  void each_parameter(auto&& see) const {
    first.each_parameter(see);
    if (tail) tail->each_parameter(see);
  }
};

/// The parts around a server's part, with the encoder that belongs to its decoder. Parameters zero,
/// norms one.
template <std::floating_point T>
ClientParts<T> parts_around(const nn::Part<T>& part) {
  ClientParts<T> around{nn::Part<T>{part.config, 0, part.first}};
  if (part.decoder) around.first.encoder.emplace(part.config.dim, part.decoder->options);
  if (!part.classifier) around.tail.emplace(part.config, part.last, part.config.depth);
  return around;
}

/// All parts of a model in the order of a forward pass: the client's first one, the server's, and
/// the client's tail if it has one.
template <std::floating_point T>
std::vector<nn::Part<T>> all_parts(const ClientParts<T>& of_client, const nn::Part<T>& of_server) {
  std::vector<nn::Part<T>> all{of_client.first, of_server};
  if (of_client.tail) all.push_back(*of_client.tail);
  return all;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::split
