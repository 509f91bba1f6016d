// SPDX-License-Identifier: MIT
#pragma once

#include <functional>  // function
#include <optional>    // optional
#include <utility>     // move

#include <splitvit/split/service.hpp>       // Service
#include <splitvit/transport/any_link.hpp>  // AnyLink
#include <splitvit/transport/delayed.hpp>   // Delayed, DelayedListener, LineModel

#include "split_train/options.hpp"  // Options

namespace split_train {

/// The line of --link-mbit and --link-ms; nothing without them.
inline std::optional<splitvit::transport::LineModel> line_of(const Options& options) {
  if (!options.link_mbit && !options.link_ms) return std::nullopt;
  splitvit::transport::LineModel line;
  if (options.link_mbit) line.bits_per_second = *options.link_mbit * 1e6;
  if (options.link_ms) line.latency_seconds = *options.link_ms * 1e-3;
  return line;
}

/// A client's link, through that line if there is one.
inline splitvit::transport::AnyLink through_line(const Options& options,
                                                 splitvit::transport::AnyLink link) {
  if (const auto line = line_of(options))
    return splitvit::transport::Delayed{std::move(link), *line};
  return link;
}

/// Runs a service for a listener whose links are put through that line if there is one.
template <class Listener>
void run_through_line(const Options& options, splitvit::split::Service<float>& service,
                      Listener& listener, const std::function<bool()>& goes_on) {
  const auto line = line_of(options);
  if (!line) return service.run(listener, goes_on);
  splitvit::transport::DelayedListener<Listener&> delayed{listener, *line};
  service.run(delayed, goes_on);
}

}  // namespace split_train
