// SPDX-License-Identifier: MIT
#pragma once

#include <functional>  // function
#include <memory>      // make_shared, shared_ptr
#include <mutex>       // lock_guard, unique_lock

#include <splitvit/core/error.hpp>               // joined, Reason, WireError
#include <splitvit/split/answering.hpp>          // Answering
#include <splitvit/split/known_client.hpp>       // KnownClient
#include <splitvit/split/known_clients.hpp>      // KnownClients
#include <splitvit/split/options.hpp>            // ServerOptions, settings_of
#include <splitvit/split/party_checkpoints.hpp>  // CheckpointsOf
#include <splitvit/split/server_role.hpp>        // ServerRole
#include <splitvit/wire/connection.hpp>          // Connection
#include <splitvit/wire/handshake.hpp>           // compare_settings, Hello, Settings

namespace splitvit::inline SPLITVIT_BUILD::split {

/// Whom a server takes: it answers hellos, for new clients and for those that come back. Several
/// threads may call it.
template <std::floating_point T>
class Admitting {
 public:
  using KnownClient = split::KnownClient<T>;
  /// Makes the role for a new client. Its WireError reaches the client.
  using MakeRole = std::function<ServerRole<T>(const wire::Hello&)>;

  /// All of these must outlive it.
  Admitting(const ServerOptions& options, KnownClients<T>& clients, Answering<T>& answering)
      : options_{options}, clients_{clients}, answering_{answering} {}

  MakeRole make_role = {};
  /// Makes what keeps a new client's checkpoints.
  std::function<CheckpointsOf<KnownClient>(const wire::Hello&)> make_checkpoints = {};

  /// What a client of this role must have, too.
  wire::Settings settings(const ServerRole<T>& role) const {
    return settings_of(role.part(), options_.method, role.receiver().codec().description(),
                       options_.agreed);
  }

  /// Finds or makes the client of a hello, and admits it.
  ///
  /// A client that reconnects gets a copy of its role and state: the thread of its older connection
  /// may still send from the original; it is told to end.
  ///
  /// Errors  WireError: the client is refused, and told why.
  std::shared_ptr<KnownClient> operator()(const std::shared_ptr<wire::Connection>& connection);

 private:
  /// A client that is not known goes on from its checkpoints, if it has any.
  std::shared_ptr<KnownClient> admit_new(const std::shared_ptr<wire::Connection>& connection);
  /// Brings the client to a step from which its peer can go on, and answers the hello. Refuses who
  /// is not the one whose session this is.
  void welcome(const std::shared_ptr<wire::Connection>& connection,
               const std::shared_ptr<KnownClient>& client);
  void require_settings(wire::Connection& connection, const ServerRole<T>& role) const;
  static void require_identity(wire::Connection& connection, KnownClient& client) {
    if (const auto refusal = client.belong_to(connection.peer_identity()))
      connection.session()->refuse(*refusal);
  }
  /// Refuses a client that is not registered, or whose number another session has. Where the others
  /// do not wait for ever, a session that is not connected is given up: returns it.
  std::shared_ptr<KnownClient> require_place(wire::Connection& connection, std::uint32_t number);
  /// The steps of the client's checkpoints.
  std::vector<std::uint64_t> offered_to(const KnownClient& client) const {
    if (client.checkpoints) return client.checkpoints->offered();
    std::vector<std::uint64_t> steps;
    if (answering_.saved())
      if (const auto step = answering_.saved()->step_of(client.state.client)) steps = {*step};
    return steps;
  }

  const ServerOptions& options_;
  KnownClients<T>& clients_;
  Answering<T>& answering_;
};

template <std::floating_point T>
auto Admitting<T>::operator()(const std::shared_ptr<wire::Connection>& connection)
    -> std::shared_ptr<KnownClient> {
  std::shared_ptr<KnownClient> older = clients_.find(connection->session()->hello().session);
  if (older == nullptr) return admit_new(connection);
  require_settings(*connection, older->role);
  const std::lock_guard computing{answering_.guard()};  // it may be at a step
  if (const auto& saved = answering_.saved()) {
    require_identity(*connection, *older);  // before all go back for it
    const wire::Hello hello = connection->session()->hello();
    older = saved->meet(hello, older);
  }
  std::unique_lock of_older{*older->guard};
  if (older->is_superseded)
    throw WireError(Reason::superseded, "a newer connection of this client came first");
  const auto client = std::make_shared<KnownClient>(older->role, older->state, older->checkpoints);
  try {
    welcome(connection, client);
  } catch (...) {
    // The part may have gone back already: the older connection does not fit it any more.
    if (client->state.steps.last() != older->state.steps.last()) {
      older->is_superseded = true;
      clients_.forget(older->state.id);
    }
    throw;
  }
  older->is_superseded = true;
  of_older.unlock();
  if (answering_.abandon(*older)) client->role.discard();
  if (answering_.group()) answering_.group()->came_back(client->state.client);
  if (const auto of_its_thread = older->connection.lock())
    of_its_thread->end(Answering<T>::superseded());
  return client;
}

template <std::floating_point T>
auto Admitting<T>::admit_new(const std::shared_ptr<wire::Connection>& connection)
    -> std::shared_ptr<KnownClient> {
  const wire::Hello hello = connection->session()->hello();
  const auto& group = answering_.group();
  std::unique_lock computing{answering_.guard(), std::defer_lock};
  if (group) computing.lock();  // two may want one place
  const auto earlier = group ? require_place(*connection, hello.client) : nullptr;
  const auto client = std::make_shared<KnownClient>(make_role(hello));
  if (earlier) client->take_over_from(earlier);
  require_settings(*connection, client->role);
  if (make_checkpoints) client->checkpoints = make_checkpoints(hello);
  if (client->checkpoints) computing.lock();  // they may restore a part that others train, too
  if (const auto refusal = client->restore(hello, options_.seed))
    connection->session()->refuse(*refusal);
  welcome(connection, client);
  if (earlier) group->came_anew(hello.client);
  return client;
}

template <std::floating_point T>
void Admitting<T>::welcome(const std::shared_ptr<wire::Connection>& connection,
                           const std::shared_ptr<KnownClient>& client) {
  const CheckpointsOf<KnownClient>& checkpoints = client->checkpoints;
  require_identity(*connection, *client);
  const auto session = connection->session();
  if (checkpoints)
    checkpoints->meet(session->hello(), client->state, checkpoints.state_of(*client));
  clients_.enter(client, session, [&] {
    session->admit(client->state, offered_to(*client));
    if (checkpoints) checkpoints->agree(session->agreed());
    client->guard = connection->guard();
    client->connection = connection;
  });
}

template <std::floating_point T>
void Admitting<T>::require_settings(wire::Connection& connection, const ServerRole<T>& role) const {
  const auto session = connection.session();
  if (const auto refusal = wire::compare_settings(session->hello().settings, settings(role)))
    session->refuse(*refusal);
}

template <std::floating_point T>
auto Admitting<T>::require_place(wire::Connection& connection, std::uint32_t number)
    -> std::shared_ptr<KnownClient> {
  const std::uint32_t registered = answering_.group()->clients();
  if (number < 1 || number > registered)
    connection.session()->refuse(
        {"client", joined({"number ", number}), joined({"numbers 1 to ", registered})});
  const auto known = clients_.numbered(number);
  if (known == nullptr) return nullptr;
  if (answering_.group()->deadline().count() == 0)
    connection.session()->refuse(
        {"client", joined({"number ", number, " in a new session"}), "that client already"});
  if (clients_.is_connected(*known))
    connection.session()->refuse(wire::Refusal::busy(joined({"serving client ", number})));
  return known;
}

SPLITVIT_ONCE(class Admitting<float>);

}  // namespace splitvit::inline SPLITVIT_BUILD::split
