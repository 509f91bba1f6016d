// SPDX-License-Identifier: MIT
#pragma once

#include <functional>  // function
#include <memory>      // shared_ptr

#include <splitvit/split/service.hpp>       // Service
#include <splitvit/transport/any_link.hpp>  // AnyLink
#include <splitvit/transport/endpoint.hpp>  // Endpoint
#include <splitvit/transport/tcp.hpp>       // ConnectOptions, TcpListener

#include "split_train/options.hpp"  // Options

// How the link of two machines is protected: by TLS, or by nothing where that is asked for.

namespace split_train {

/// The credentials of the options, read.
///
/// Returns null if they ask for none.
/// Errors  UsageError for options that do not go together, for files that cannot be used, without
///         protection on other addresses than this machine's own unless --insecure is given, and if
///         this program was built without TLS.
std::shared_ptr<const Protection> protection_of(const Options& options);

/// A link to a server, protected as the options say.
///
/// Errors  As connect_tcp. The first use of the link throws TransportError (refused) if the two
///         sides do not accept each other.
splitvit::transport::AnyLink connect(const Options& options,
                                     const splitvit::transport::Endpoint& server,
                                     const splitvit::transport::ConnectOptions& how = {});

/// Runs the service on this listener, protected as the options say; see Service::run.
void serve(splitvit::split::Service<float>& service, splitvit::transport::TcpListener& listener,
           const Options& options, const std::function<bool()>& goes_on);

}  // namespace split_train
