// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>      // nanoseconds, seconds
#include <exception>   // exception
#include <functional>  // function

#include <splitvit/transport/any_link.hpp>  // AnyLink
#include <splitvit/transport/endpoint.hpp>  // Endpoint

#include "split_train/options.hpp"  // Options

namespace split_train {

/// How long a server that is just being started is waited for.
inline constexpr std::chrono::seconds first_patience{10};

/// Whether a link has failed, or the server was busy: another connection may help.
bool is_of_connection(const std::exception& error);

/// Dials a server again and again until `use` has taken the link without an error of the
/// connection. Looks its name up each time. `while_waiting` is called every few milliseconds
/// between attempts.
///
/// Errors  What the last attempt threw, when the time is over, or when TLS has refused one side
///         twice in a row: once may be a bit that was damaged on the way. Other errors of `use`,
///         and those of `while_waiting`, at once.
void dial(const Options& options, const splitvit::transport::Endpoint& server,
          std::chrono::nanoseconds patience,
          const std::function<void(splitvit::transport::AnyLink)>& use,
          const std::function<void()>& while_waiting);

}  // namespace split_train
