// SPDX-License-Identifier: MIT
#pragma once

#include <functional>  // function
#include <map>         // map
#include <memory>      // make_shared, shared_ptr, weak_ptr
#include <mutex>       // lock_guard, mutex

#include <splitvit/codec/any_codec.hpp>      // AnyCodec, Codec
#include <splitvit/core/workspace.hpp>       // Workspace
#include <splitvit/nn/part.hpp>              // Part
#include <splitvit/optim/optimizer.hpp>      // AnyRule
#include <splitvit/split/checkpoints.hpp>    // Checkpoints
#include <splitvit/split/cut.hpp>            // CutReceiver
#include <splitvit/split/known_client.hpp>   // KnownClient
#include <splitvit/split/learner.hpp>        // Learner
#include <splitvit/split/messages.hpp>       // weights_payload
#include <splitvit/split/options.hpp>        // ServerOptions, settings_of
#include <splitvit/split/server_role.hpp>    // ServerRole
#include <splitvit/split/session_event.hpp>  // OnSessionEvent, SessionEvent
#include <splitvit/transport/any_link.hpp>   // AnyLink
#include <splitvit/wire/connection.hpp>      // Connection, options_on
#include <splitvit/wire/session.hpp>         // Session, SessionState

namespace splitvit::inline SPLITVIT_BUILD::split {

/// The party that has the last blocks: roles, sessions and links. Only this class waits for links.
///
///   Server server{part, Adam{.lr = 1e-3}};
///   server.serve(std::move(link));  // until the client says goodbye
///
/// It need not know the client's stages: it sends the gradient of what it received. Several threads
/// may serve at the same time, each one session; one of them computes at a time, and none keeps the
/// others from answering heartbeats. service.hpp serves whoever connects to a listener.
template <std::floating_point T>
class Server {
 public:
  /// Makes the role for a new client, in all threads that serve. Its WireError reaches the client.
  using MakeRole = std::function<ServerRole<T>(const wire::Hello&)>;

  /// One part, which all clients train.
  ///
  /// Errors  std::invalid_argument unless the part is the last of a model, or for options of the
  ///         rule outside their range.
  template <codec::Codec<T> Code>
  Server(nn::Part<T> part, std::type_identity_t<optim::AnyRule<T>> rule, Code codec,
         const ServerOptions& options = {})
      : Server(codec::AnyCodec<T>{std::move(codec)}, std::move(part), std::move(rule), options) {}
  /// With codec Float32.
  Server(nn::Part<T> part, std::type_identity_t<optim::AnyRule<T>> rule,
         const ServerOptions& options = {})
      : Server(codec::AnyCodec<T>{}, std::move(part), std::move(rule), options) {}
  /// A role for each client, with a part of its own or a shared one.
  explicit Server(MakeRole make_role, const ServerOptions& options = {});

  /// Makes what keeps a new client's checkpoints, in all threads that serve; null: none are kept.
  /// If they are those of an earlier process, the session goes on from them. If it throws a
  /// StorageError, the client is told why.
  using MakeCheckpoints = std::function<std::shared_ptr<Checkpoints>(const wire::Hello&)>;
  /// Call it before anybody is served.
  void keep_checkpoints(MakeCheckpoints make) { make_checkpoints_ = std::move(make); }

  /// Saves all sessions that have checkpoints, each after its step under way. Any thread may call
  /// it, such as one that ends the process then.
  void save_checkpoints();

  /// Serves one client until it says goodbye. When its link broke, serve its new one.
  ///
  /// Errors  WireError if the settings differ or the client sends invalid bytes; it is told why.
  ///         TransportError if the link fails, is closed without goodbye, or is silent for too
  ///         long. A step is applied as a whole or not at all; the server can serve again.
  void serve(transport::AnyLink link);
  /// The same for a connection that may have got the client's hello. `on_event` is told what
  /// becomes of the session, by this thread.
  void serve(
      const std::shared_ptr<wire::Connection>& connection,
      const OnSessionEvent& on_event = [](const SessionEvent&) {});

  const ServerOptions& options() const { return options_; }
  /// The last step of a session, 0 if it is not known. Any thread may ask.
  std::uint64_t step_of(const wire::SessionId& id) {
    const std::shared_ptr<KnownClient> client = find(id);
    return client == nullptr ? 0 : client->last_step();
  }

  /// The part that all clients share. Errors  std::logic_error if each role has its own.
  const nn::Part<T>& part() const { return learner().part(); }
  /// Training steps that have been applied, over all sessions.
  std::uint64_t steps() const { return learner().steps(); }

  /// The shared part, then the sessions by id; while nobody is served. See core/state.hpp.
  void each_state(auto&& see) {
    if (learner_) show_state(*learner_, see);
    std::size_t number = 0;
    for (auto& [id, client] : clients_) {
      const std::string prefix = "client." + std::to_string(number++) + ".";
      show_state(client->role, see, prefix);
      show_state(client->state, see, prefix);
    }
  }

 private:
  Server(codec::AnyCodec<T> codec, nn::Part<T> part, optim::AnyRule<T> rule,
         const ServerOptions& options);

  using KnownClient = split::KnownClient<T>;

  static WireError superseded() {
    return {Reason::superseded, "a newer connection of this client has taken over"};
  }

  const Learner<T>& learner() const {
    if (!learner_) throw std::logic_error("Server: each role has a part of its own");
    return *learner_;
  }

  /// Finds or makes the client of a hello, and admits it.
  ///
  /// A client that reconnects gets a copy of its role and state: the thread of its older connection
  /// may still send from the original; it is told to end.
  std::shared_ptr<KnownClient> admit(const std::shared_ptr<wire::Connection>& connection);
  /// A client that is not known goes on from its checkpoints, if it has any.
  std::shared_ptr<KnownClient> admit_new(const std::shared_ptr<wire::Connection>& connection);
  /// Brings the client to a step from which its peer can go on, and answers the hello.
  void welcome(const std::shared_ptr<wire::Connection>& connection,
               const std::shared_ptr<KnownClient>& client);
  void require_settings(wire::Connection& connection, const ServerRole<T>& role) const;
  std::shared_ptr<KnownClient> find(const wire::SessionId& id);

  /// Forgets the clients whose time is over and, where there is still no room, the oldest client
  /// that is not connected; refuses the new one if all are.
  void make_room(const wire::Connection::Locked& session);

  /// The client's connection is over. `keeps` says whether the client may come back.
  void leave(KnownClient& client, bool keeps);

  /// Tells the peer why, and keeps a client that has something to come back to.
  void give_up(wire::Connection& connection, KnownClient* client, const ReasonedError& error);

  /// Answers one message; false after a goodbye.
  bool answer(wire::Connection& connection, KnownClient& client);

  void train(wire::Connection& connection, KnownClient& client, const wire::Event& event,
             std::uint64_t largest);

  std::shared_ptr<Learner<T>> learner_;
  MakeRole make_role_;
  MakeCheckpoints make_checkpoints_;
  ServerOptions options_;
  std::mutex guard_;  // of clients_
  std::map<wire::SessionId, std::shared_ptr<KnownClient>> clients_;
  std::uint64_t admitted_ = 0;
  std::mutex computing_;  // one thread computes
  Workspace workspace_;   // of that thread
};

template <std::floating_point T>
Server<T>::Server(codec::AnyCodec<T> codec, nn::Part<T> part, optim::AnyRule<T> rule,
                  const ServerOptions& options)
    : learner_{std::make_shared<Learner<T>>(std::move(part), std::move(rule), options.training)},
      options_{options} {
  make_role_ = [learner = learner_, codec = std::move(codec),
                seed = options.seed](const wire::Hello&) {
    return ServerRole<T>{learner, CutReceiver<T>{codec, seed}};
  };
  make_role_({});  // throws for a part that no client can use
}

template <std::floating_point T>
Server<T>::Server(MakeRole make_role, const ServerOptions& options)
    : make_role_{std::move(make_role)}, options_{options} {}

template <std::floating_point T>
void Server<T>::serve(transport::AnyLink link) {
  auto session =
      wire::Session::server(wire::options_on(link, options_.session), transport::Clock::now());
  serve(std::make_shared<wire::Connection>(std::move(link), std::move(session)));
}

template <std::floating_point T>
void Server<T>::serve(const std::shared_ptr<wire::Connection>& connection,
                      const OnSessionEvent& on_event) {
  std::shared_ptr<KnownClient> client;
  const auto tell = [&](SessionEvent::Kind kind, const std::string& reason = {}) {
    SessionEvent event{.kind = kind, .reason = reason};
    if (client != nullptr) {
      const std::lock_guard lock{*client->guard};
      event.id = client->state.id;
      event.step = client->state.steps.last();
    }
    on_event(event);
  };
  const auto give_up = [&](const ReasonedError& error, const std::string& reason) {
    this->give_up(*connection, client.get(), error);
    connection->stop();
    tell(client == nullptr ? SessionEvent::Kind::refused : SessionEvent::Kind::lost, reason);
  };
  try {
    if (!connection->session()->has_hello()) connection->next(wire::MessageKind::hello);
    client = admit(connection);
    const bool is_new = connection->session()->hello().connection == 0;
    tell(is_new ? SessionEvent::Kind::began : SessionEvent::Kind::resumed);
    while (answer(*connection, *client)) {
    }
    leave(*client, false);
    connection->stop();
    tell(SessionEvent::Kind::ended);
  } catch (const ReasonedError& error) {
    give_up(error, error.what());
    throw;
  } catch (const std::exception& error) {
    give_up(WireError{Reason::peer_failed, "the server has failed at this step"}, error.what());
    throw;
  }
}

template <std::floating_point T>
auto Server<T>::admit(const std::shared_ptr<wire::Connection>& connection)
    -> std::shared_ptr<KnownClient> {
  const std::shared_ptr<KnownClient> older = find(connection->session()->hello().session);
  if (older == nullptr) return admit_new(connection);
  require_settings(*connection, older->role);
  const std::lock_guard computing{computing_};  // it may be at a step
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
      const std::lock_guard lock{guard_};
      clients_.erase(older->state.id);
    }
    throw;
  }
  older->is_superseded = true;
  of_older.unlock();
  if (const auto of_its_thread = older->connection.lock()) of_its_thread->end(superseded());
  return client;
}

template <std::floating_point T>
auto Server<T>::admit_new(const std::shared_ptr<wire::Connection>& connection)
    -> std::shared_ptr<KnownClient> {
  const wire::Hello hello = connection->session()->hello();
  const auto client = std::make_shared<KnownClient>(make_role_(hello));
  require_settings(*connection, client->role);
  if (make_checkpoints_) client->checkpoints = make_checkpoints_(hello);
  std::unique_lock computing{computing_, std::defer_lock};
  if (client->checkpoints) computing.lock();  // they may restore a part that others train, too
  if (const auto refusal = client->restore(hello, options_.seed))
    connection->session()->refuse(*refusal);
  welcome(connection, client);
  return client;
}

template <std::floating_point T>
void Server<T>::welcome(const std::shared_ptr<wire::Connection>& connection,
                        const std::shared_ptr<KnownClient>& client) {
  Checkpoints* const checkpoints = client->checkpoints.get();
  const auto session = connection->session();
  if (checkpoints) checkpoints->meet(session->hello(), client->state, *client);
  const std::lock_guard lock{guard_};
  if (!clients_.contains(session->hello().session)) make_room(session);
  session->admit(client->state,
                 checkpoints ? checkpoints->offered() : std::vector<std::uint64_t>{});
  if (checkpoints) checkpoints->agree(session->agreed());
  client->guard = connection->guard();
  client->connection = connection;
  client->last_used = ++admitted_;
  clients_[client->state.id] = client;
}

template <std::floating_point T>
void Server<T>::require_settings(wire::Connection& connection, const ServerRole<T>& role) const {
  const auto session = connection.session();
  if (const auto refusal = wire::compare_settings(
          session->hello().settings,
          settings_of(role.part(), options_.method, role.receiver().codec().description(),
                      options_.agreed)))
    session->refuse(*refusal);
}

template <std::floating_point T>
void Server<T>::save_checkpoints() {
  std::vector<std::shared_ptr<KnownClient>> all;
  {
    const std::lock_guard lock{guard_};
    for (const auto& [id, client] : clients_) all.push_back(client);
  }
  for (const auto& client : all) {
    const std::lock_guard computing{computing_};
    if (!client->was_superseded()) client->save_checkpoint();
  }
}

template <std::floating_point T>
auto Server<T>::find(const wire::SessionId& id) -> std::shared_ptr<KnownClient> {
  const std::lock_guard lock{guard_};
  const auto known = clients_.find(id);
  return known == clients_.end() ? nullptr : known->second;
}

template <std::floating_point T>
void Server<T>::make_room(const wire::Connection::Locked& session) {
  const wire::Time now = transport::Clock::now();
  std::erase_if(clients_, [&](const auto& known) {
    const KnownClient& client = *known.second;
    return !client.is_connected && transport::deadline_in(options_.keep_for, client.left) <= now;
  });
  if (clients_.size() < options_.most_sessions) return;
  auto oldest = clients_.end();
  for (auto at = clients_.begin(); at != clients_.end(); ++at)
    if (!at->second->is_connected &&
        (oldest == clients_.end() || at->second->last_used < oldest->second->last_used))
      oldest = at;
  if (oldest == clients_.end())
    session->refuse(wire::Refusal::busy("serving " + std::to_string(clients_.size()) + " of " +
                                        std::to_string(options_.most_sessions)));
  clients_.erase(oldest);
}

template <std::floating_point T>
void Server<T>::leave(KnownClient& client, bool keeps) {
  const std::lock_guard lock{guard_};
  client.is_connected = false;
  client.left = transport::Clock::now();
  const auto known = clients_.find(client.state.id);
  if (!keeps && known != clients_.end() && known->second.get() == &client) clients_.erase(known);
}

template <std::floating_point T>
void Server<T>::give_up(wire::Connection& connection, KnownClient* client,
                        const ReasonedError& error) {
  bool tells = true, keeps = false;
  if (client != nullptr) {
    const std::lock_guard computing{computing_};  // it may be saved
    const std::lock_guard lock{*client->guard};
    keeps = client->is_worth_keeping();
    tells = !client->is_superseded;
  }
  if (client != nullptr) leave(*client, keeps);
  if (tells) connection.tell(error);
}

template <std::floating_point T>
bool Server<T>::answer(wire::Connection& connection, KnownClient& client) {
  const wire::Event event = connection.next();
  const std::lock_guard computing{computing_};
  if (client.was_superseded()) throw superseded();
  const Workspace::Use use{workspace_};
  const std::uint64_t largest = connection.session()->agreed().largest_message;
  const auto reply = [&](wire::MessageKind kind, std::vector<std::byte> payload) {
    client.answer = std::move(payload);
    connection.session()->send(kind, std::array{wire::Bytes{client.answer}});
  };
  using enum wire::MessageKind;
  if (event.kind == forward) {
    train(connection, client, event, largest);
  } else if (event.kind == evaluate) {
    reply(evaluated, client.role.answer(event.payload, largest));
  } else if (event.kind == fetch_weights) {
    reply(weights, weights_payload<T>(client.role.part()));
  } else if (event.kind == weights) {
    client.role.take_decoder(event.payload);
  } else if (event.kind == checkpoint) {
    reply(checkpoint, client.answer_checkpoint(event.payload));
  } else if (event.kind == bye) {
    client.end_checkpoints();
  }
  return event.kind != bye;
}

template <std::floating_point T>
void Server<T>::train(wire::Connection& connection, KnownClient& client, const wire::Event& event,
                      std::uint64_t largest) {
  client.save_first_checkpoint();
  try {
    std::vector<std::byte>& reply = connection.session()->new_reply();
    client.role.forward({client.state.client, event.at.step, event.at.micro}, event.payload,
                        largest, reply);
    connection.session()->prepare();
    client.role.commit(reply);
    connection.locked()->commit_without_reply();
  } catch (...) {
    client.role.discard();
    throw;
  }
  client.save_checkpoint_if_due();  // before the reply leaves
  connection.session()->reply_to_last();
}

SPLITVIT_ONCE(class Server<float>);

}  // namespace splitvit::inline SPLITVIT_BUILD::split
