// SPDX-License-Identifier: MIT
#pragma once

#include <exception>  // exception_ptr, rethrow_exception
#include <memory>     // shared_ptr
#include <mutex>      // lock_guard, mutex
#include <optional>   // optional
#include <string>     // string
#include <thread>     // jthread
#include <utility>    // move, pair
#include <vector>     // vector

#include <splitvit/transport/memory.hpp>  // memory_pair, MemoryLink
#include <splitvit/transport/tls.hpp>     // TlsContext, TlsLink

#include "support/bytes.hpp"         // reason_of
#include "support/certificates.hpp"  // Authority, SharedKey

// Both ends of protected links, and what passes below them.

namespace splitvit::test {

/// The contexts of a client and a server.
struct Contexts {
  transport::TlsContext client, server;

  Contexts(const transport::TlsOptions& of_client, const transport::TlsOptions& of_server)
      : client{transport::TlsRole::client, of_client},
        server{transport::TlsRole::server, of_server} {}
  /// With one pre-shared key.
  explicit Contexts(const SharedKey& key) : Contexts{key.options(), key.options()} {}
};

/// A link that keeps a copy of all bytes that pass.
class RecordingLink {
 public:
  struct Record {
    std::mutex guard;
    std::vector<std::byte> bytes;
  };

  explicit RecordingLink(transport::MemoryLink link) : link_{std::move(link)} {}
  std::size_t read_some(std::span<std::byte> into) {
    const std::size_t n = link_.read_some(into);
    add(into.first(n));
    return n;
  }
  std::size_t write_some(std::span<const std::byte> from) {
    const std::size_t n = link_.write_some(from);
    add(from.first(n));
    return n;
  }
  void set_deadline(transport::Deadline when) { link_.set_deadline(when); }
  std::shared_ptr<Record> record() const { return record_; }

 private:
  void add(std::span<const std::byte> bytes) {
    const std::lock_guard lock{record_->guard};
    record_->bytes.insert(record_->bytes.end(), bytes.begin(), bytes.end());
  }

  transport::MemoryLink link_;
  std::shared_ptr<Record> record_ = std::make_shared<Record>();
};

using MemoryTls = transport::TlsLink<transport::MemoryLink>;

inline std::pair<MemoryTls, MemoryTls> tls_pair(const Contexts& contexts,
                                                std::size_t capacity = std::size_t{1} << 18) {
  auto [client_end, server_end] = transport::memory_pair(capacity);
  return {MemoryTls{std::move(client_end), contexts.client},
          MemoryTls{std::move(server_end), contexts.server}};
}

/// What two parties find out about each other: the text of the error of each, empty for none.
struct Greeting {
  std::string client, server;
  std::string client_identity, server_identity;  ///< as the other side knows it
};

/// Each writes a byte and reads one, on links that may be of any kind.
template <class Client, class Server>
Greeting greet(Client client_end, Server server_end) {
  Greeting result;
  const auto meet = [](auto link, std::string& error, std::string& identity) {
    const std::byte out{7};
    std::byte in{};
    link.set_deadline(transport::deadline_in(std::chrono::seconds{10}));
    reason_of(
        [&] {
          link.write_some(std::span{&out, 1});
          if (link.read_some(std::span{&in, 1}) != 1) error = "a goodbye";
        },
        &error);
    if constexpr (requires { link.identity(); }) identity = link.identity();
  };
  {
    const std::jthread serving{[&, end = std::move(server_end)]() mutable {
      meet(std::move(end), result.server, result.client_identity);
    }};
    meet(std::move(client_end), result.client, result.server_identity);
  }
  return result;
}
inline Greeting greet(const Contexts& contexts) {
  auto [client_end, server_end] = tls_pair(contexts);
  return greet(std::move(client_end), std::move(server_end));
}

}  // namespace splitvit::test
