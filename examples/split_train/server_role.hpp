// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>   // uint64_t
#include <optional>  // optional
#include <string>    // string

#include <splitvit/transport/endpoint.hpp>  // Endpoint

#include "split_train/options.hpp"  // Options

// The server's role, and a server as a process of its own.

namespace split_train {

/// Listens and serves one client after the other, each with a server part that starts anew; others
/// hear meanwhile that it is busy. A client that is refused or breaks the rules ends its session,
/// not the server.
///
/// Returns the exit code, once as many clients as wanted have finished.
int run_server(const Options& options);

/// Another process of this program that serves one session on a free port of this machine.
/// It ends with this one, whatever happens; SIGINT and SIGTERM are left to this one.
class ServerProcess {
 public:
  /// Errors  std::runtime_error if it does not start.
  ServerProcess(const Options& options, const std::string& method, Index classes);
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess();

  /// Waits for its end, some seconds at most: it has been told goodbye.
  void finish();
  /// Ends it at once. Nothing is lost: what this process can go on from, both have saved.
  void end();

  const splitvit::transport::Endpoint& endpoint() const { return endpoint_; }
  /// The most bytes that it has held at once; nothing where the system does not say.
  std::optional<std::uint64_t> peak_memory() const;

 private:
  int process_ = -1;
  splitvit::transport::Endpoint endpoint_;
};

}  // namespace split_train
