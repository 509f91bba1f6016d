// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>  // nanoseconds
#include <map>     // map
#include <memory>  // shared_ptr
#include <mutex>   // lock_guard, mutex

#include <splitvit/core/error.hpp>          // joined
#include <splitvit/split/known_client.hpp>  // KnownClient
#include <splitvit/split/report.hpp>        // Column, Traffic, traffic_of
#include <splitvit/transport/concepts.hpp>  // Clock, deadline_in
#include <splitvit/wire/connection.hpp>     // Connection
#include <splitvit/wire/handshake.hpp>      // Refusal, SessionId
#include <splitvit/wire/session_state.hpp>  // SessionState

namespace splitvit::inline SPLITVIT_BUILD::split {

/// The clients that a server knows, by their sessions: those that are connected, and those whose
/// link broke, for a while. Any thread may call it.
template <std::floating_point T>
class KnownClients {
 public:
  using Pointer = std::shared_ptr<KnownClient<T>>;

  /// Keeps at most `most` sessions, each for `keep_for` after its link broke.
  KnownClients(std::size_t most, std::chrono::nanoseconds keep_for)
      : most_{most}, keep_for_{keep_for} {}

  /// Null if it is not known.
  Pointer find(const wire::SessionId& id) const {
    const std::lock_guard lock{guard_};
    const auto known = clients_.find(id);
    return known == clients_.end() ? nullptr : known->second;
  }
  /// In the order of their sessions' ids.
  std::vector<Pointer> all() const {
    std::vector<Pointer> all;
    const std::lock_guard lock{guard_};
    for (const auto& [id, client] : clients_) all.push_back(client);
    return all;
  }

  /// The last step of a session, 0 if it is not known.
  std::uint64_t step_of(const wire::SessionId& id) const {
    const Pointer client = find(id);
    return client == nullptr ? 0 : client->last_step();
  }
  /// The session of the client with this number; nothing if there is none.
  std::optional<wire::SessionState> session_of(std::uint32_t number) const {
    const Pointer client = numbered(number);
    if (client == nullptr) return std::nullopt;
    const std::lock_guard lock{*client->guard};
    return client->state;
  }
  /// The client with this number; null if there is none.
  Pointer numbered(std::uint32_t number) const {
    for (const Pointer& client : all()) {
      const std::lock_guard lock{*client->guard};
      if (client->state.client == number) return client;
    }
    return nullptr;
  }
  bool is_connected(const KnownClient<T>& client) const {
    const std::lock_guard lock{guard_};
    return client.is_connected;
  }

  /// The bytes of all clients for one purpose.
  Traffic traffic(Column column) const {
    Traffic sum;
    for (const Pointer& client : all()) {
      const std::lock_guard lock{*client->guard};
      sum += traffic_of(client->state, column, true);
    }
    return sum;
  }

  /// Calls admit(), which answers the hello, and from then on knows the client by its session.
  /// Where there is no room, it first forgets those whose time is over, and then the oldest that is
  /// not connected.
  ///
  /// Errors  WireError (in_use) if all are connected: the client is told. What admit() throws.
  void enter(const Pointer& client, const wire::Connection::Locked& session, const auto& admit) {
    const std::lock_guard lock{guard_};
    if (!client->earlier && !clients_.contains(session->hello().session)) make_room(session);
    admit();
    if (const Pointer earlier = std::exchange(client->earlier, {}))
      clients_.erase(earlier->state.id);
    client->last_used = ++entered_;
    clients_[client->state.id] = client;
  }

  /// The client's connection is over. `keeps` says whether the client may come back.
  void leave(KnownClient<T>& client, bool keeps) {
    const std::lock_guard lock{guard_};
    client.is_connected = false;
    client.left = transport::Clock::now();
    const auto known = clients_.find(client.state.id);
    if (!keeps && known != clients_.end() && known->second.get() == &client) clients_.erase(known);
  }
  /// Knows these clients only, none of which is connected.
  void replace_by(const std::vector<Pointer>& clients) {
    const std::lock_guard lock{guard_};
    clients_.clear();
    for (const Pointer& client : clients) {
      client->left = transport::Clock::now();
      client->last_used = ++entered_;
      clients_[client->state.id] = client;
    }
  }
  void forget(const wire::SessionId& id) {
    const std::lock_guard lock{guard_};
    clients_.erase(id);
  }

 private:
  void make_room(const wire::Connection::Locked& session) {
    const wire::Time now = transport::Clock::now();
    std::erase_if(clients_, [&](const auto& known) {
      const KnownClient<T>& client = *known.second;
      return !client.is_connected && transport::deadline_in(keep_for_, client.left) <= now;
    });
    if (clients_.size() < most_) return;
    auto oldest = clients_.end();
    for (auto at = clients_.begin(); at != clients_.end(); ++at)
      if (!at->second->is_connected &&
          (oldest == clients_.end() || at->second->last_used < oldest->second->last_used))
        oldest = at;
    if (oldest == clients_.end())
      session->refuse(wire::Refusal::busy(joined({"serving ", clients_.size(), " of ", most_})));
    clients_.erase(oldest);
  }

  std::size_t most_;
  std::chrono::nanoseconds keep_for_;
  mutable std::mutex guard_;
  std::map<wire::SessionId, Pointer> clients_;
  std::uint64_t entered_ = 0;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
