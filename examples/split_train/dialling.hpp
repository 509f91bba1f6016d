// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>      // nanoseconds, seconds
#include <exception>   // exception
#include <functional>  // function

#include <splitvit/transport/any_link.hpp>  // AnyLink
#include <splitvit/transport/endpoint.hpp>  // Endpoint

namespace split_train {

/// How long a server that is just being started is waited for.
inline constexpr std::chrono::seconds first_patience{10};

/// Whether a link has failed, or the server was busy: another connection may help.
bool is_of_connection(const std::exception& error);

/// Dials a server again and again until `use` has taken the link without an error of the
/// connection. Looks its name up each time. `while_waiting` is called every few milliseconds
/// between attempts.
///
/// Errors  When the time is over, what the last attempt threw; other errors of `use`, and those of
///         `while_waiting`, at once.
void dial(const splitvit::transport::Endpoint& server, std::chrono::nanoseconds patience,
          const std::function<void(splitvit::transport::AnyLink)>& use,
          const std::function<void()>& while_waiting);

}  // namespace split_train
