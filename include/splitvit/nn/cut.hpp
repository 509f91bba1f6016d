// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/random.hpp>  // Rng
#include <splitvit/core/text.hpp>    // counted
#include <splitvit/nn/init.hpp>      // initialise
#include <splitvit/nn/part.hpp>      // Part, make_part
#include <splitvit/nn/vit.hpp>       // Vit, VitConfig

// Cuts a ViT into parts, each for one party.
//
//   auto [client_part, server_part] = cut_in_two<float>(vit, 3, rng);
//   const auto parts = cut<float>(vit, {3, 11}, rng);  // the client also has the last block
//   const auto parts = cut<float>(vit, {3, 12}, rng);  // or only norm and classifier

namespace splitvit::inline SPLITVIT_BUILD::nn {

/// A cut c lies between blocks c - 1 and c; the last of several may lie behind all blocks.
/// Errors  std::invalid_argument unless the config makes a model and there is at least one cut,
///         each from 1 to depth - 1, or depth for the last of several, in strictly ascending order.
inline void require_cuts(const VitConfig& config, const std::vector<Index>& cuts) {
  require_valid(config);
  bool fits = !cuts.empty();
  std::string text;
  Index before = 0;
  for (const Index c : cuts) {
    const bool is_behind_all = c == config.depth && before > 0;
    fits = fits && c > before && (c < config.depth || is_behind_all);
    text += joined({text.empty() ? "" : ", ", c});
    before = c;
  }
  if (!fits)
    throw ArgumentError({"cuts (", text, "): a model of ", counted(config.depth, "block"), " ",
                         config.depth < 2 ? "cannot be cut"
                                          : joined({"can be cut after 1 to ", config.depth - 1,
                                                    ", at least once, in ascending order"})});
}

/// All parts of a model, in order: {3} gives two parts, {3, 11} three. Given the same rng, they
/// start as make_vit's whole model. make_part makes one of them alone. Errors  as require_cuts.
template <std::floating_point T>
std::vector<Part<T>> cut(const VitConfig& config, const std::vector<Index>& cuts, const Rng& rng) {
  require_cuts(config, cuts);
  std::vector<Part<T>> parts;
  Index first = 0;
  for (const Index last : cuts) {
    parts.push_back(make_part<T>(config, first, last, rng));
    parts.back().classifier.reset();  // a part follows
    first = last;
  }
  parts.push_back(make_part<T>(config, first, config.depth, rng));
  return parts;
}

/// The client part and the server part of a model with one cut. Errors  as require_cuts.
template <std::floating_point T>
std::pair<Part<T>, Part<T>> cut_in_two(const VitConfig& config, Index after, const Rng& rng) {
  require_cuts(config, {after});
  return {make_part<T>(config, 0, after, rng), make_part<T>(config, after, config.depth, rng)};
}

template <std::floating_point T>
Vit<T> make_vit(const VitConfig& config, const Rng& rng) {
  Vit<T> vit{config};
  initialise<T>(vit, rng);
  return vit;
}

SPLITVIT_ONCE(std::vector<Part<float>> cut<float>(const VitConfig&, const std::vector<Index>&,
                                                  const Rng&));
SPLITVIT_ONCE(std::pair<Part<float>, Part<float>> cut_in_two<float>(const VitConfig&, Index,
                                                                    const Rng&));
SPLITVIT_ONCE(Vit<float> make_vit<float>(const VitConfig&, const Rng&));

}  // namespace splitvit::inline SPLITVIT_BUILD::nn
