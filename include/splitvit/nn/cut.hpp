// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>          // floating_point
#include <initializer_list>  // initializer_list
#include <span>              // span
#include <stdexcept>         // invalid_argument
#include <string>            // string, to_string
#include <utility>           // pair
#include <vector>            // vector

#include <splitvit/core/random.hpp>  // Rng
#include <splitvit/nn/init.hpp>      // initialise
#include <splitvit/nn/part.hpp>      // Part, make_part
#include <splitvit/nn/vit.hpp>       // Vit, VitConfig

// Cuts a ViT into parts, each for one party.
//
//   auto [client_part, server_part] = cut_in_two<float>(vit, 3, rng);
//   const auto parts = cut<float>(vit, {3, 11}, rng);  // the client also has the last block

namespace splitvit::nn {

/// A cut c lies between blocks c - 1 and c.
///
/// Errors  std::invalid_argument unless the config makes a model and there is at least one cut,
/// each
///         from 1 to depth - 1, in strictly ascending order.
inline void require_cuts(const VitConfig& config, std::span<const Index> cuts) {
  require_valid(config);
  bool fits = !cuts.empty();
  std::string text;
  Index before = 0;
  for (const Index c : cuts) {
    if (c <= before || c >= config.depth) fits = false;
    text += (text.empty() ? " " : ", ") + std::to_string(c);
    before = c;
  }
  if (fits) return;
  text = cuts.empty() ? "no cut" : (cuts.size() == 1 ? "cut" : "cuts") + text;
  if (config.depth < 2) throw std::invalid_argument(text + ": a model of 1 block cannot be cut");
  throw std::invalid_argument(text + ": a model of " + std::to_string(config.depth) +
                              " blocks can be cut after 1 to " + std::to_string(config.depth - 1) +
                              (cuts.size() == 1 ? "" : ", at least once, in ascending order"));
}
inline void require_cuts(const VitConfig& config, std::initializer_list<Index> cuts) {
  require_cuts(config, std::span<const Index>{cuts.begin(), cuts.size()});
}

/// All parts of a model, in order: {3} gives two parts, {3, 11} three. Given the same rng, they
/// start as make_vit's whole model. make_part makes one of them alone.
///
/// Errors  as require_cuts.
template <std::floating_point T>
std::vector<Part<T>> cut(const VitConfig& config, std::span<const Index> cuts, const Rng& rng) {
  require_cuts(config, cuts);
  std::vector<Part<T>> parts;
  Index first = 0;
  for (const Index last : cuts) {
    parts.push_back(make_part<T>(config, first, last, rng));
    first = last;
  }
  parts.push_back(make_part<T>(config, first, config.depth, rng));
  return parts;
}
template <std::floating_point T>
std::vector<Part<T>> cut(const VitConfig& config, std::initializer_list<Index> cuts,
                         const Rng& rng) {
  return cut<T>(config, std::span<const Index>{cuts.begin(), cuts.size()}, rng);
}

/// The client part and the server part of a model with one cut.
///
/// Errors  as require_cuts.
template <std::floating_point T>
std::pair<Part<T>, Part<T>> cut_in_two(const VitConfig& config, Index after, const Rng& rng) {
  require_cuts(config, {after});
  return {make_part<T>(config, 0, after, rng), make_part<T>(config, after, config.depth, rng)};
}

/// The whole model, uncut.
template <std::floating_point T>
Vit<T> make_vit(const VitConfig& config, const Rng& rng) {
  Vit<T> vit{config};
  initialise<T>(vit, rng);
  return vit;
}

}  // namespace splitvit::nn
