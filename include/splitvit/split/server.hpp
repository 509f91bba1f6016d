// SPDX-License-Identifier: MIT
#pragma once

#include <functional>  // function
#include <map>         // map
#include <memory>      // make_shared, shared_ptr
#include <mutex>       // lock_guard, mutex

#include <splitvit/codec/any_codec.hpp>     // AnyCodec, Codec
#include <splitvit/core/workspace.hpp>      // Workspace
#include <splitvit/nn/part.hpp>             // Part
#include <splitvit/optim/optimizer.hpp>     // AnyRule
#include <splitvit/split/checkpoints.hpp>   // Checkpoints
#include <splitvit/split/cut.hpp>           // CutReceiver
#include <splitvit/split/learner.hpp>       // Learner
#include <splitvit/split/messages.hpp>      // CheckpointMessage, weights_payload
#include <splitvit/split/options.hpp>       // ServerOptions, settings_of
#include <splitvit/split/server_role.hpp>   // ServerRole
#include <splitvit/transport/any_link.hpp>  // AnyLink
#include <splitvit/wire/io.hpp>             // flush_if_possible, next, tell
#include <splitvit/wire/session.hpp>        // Session, SessionState

namespace splitvit::inline SPLITVIT_BUILD::split {

/// The party that has the last blocks: roles, sessions and links. Only this class waits for links.
///
///   Server server{part, Adam{.lr = 1e-3}};
///   server.serve(std::move(link));  // until the client says goodbye
///
/// It need not know the client's stages: it sends the gradient of what it received. Several threads
/// may serve at the same time, each one session; one of them computes at a time.
template <std::floating_point T>
class Server {
 public:
  /// Makes the role for a new client, in all threads that serve. Its WireError reaches the client.
  using MakeRole = std::function<ServerRole<T>(const wire::Hello&)>;

  /// One part, which all clients train.
  ///
  /// Errors  std::invalid_argument unless the part is the last of a model, for options of the rule
  ///         outside their range, or for heartbeats.
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
  /// They may be those of an earlier process, from which the session then goes on. Its
  /// StorageError reaches the client.
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

  /// A client that is or was connected.
  struct KnownClient {
    explicit KnownClient(ServerRole<T> r, wire::SessionState s = {},
                         std::shared_ptr<Checkpoints> kept = {})
        : role{std::move(r)}, state{std::move(s)}, checkpoints{std::move(kept)} {}

    /// What a checkpoint holds besides the session.
    void each_state(auto&& see) {
      show_state(role.learner(), see, "learner.");
      show_state(role, see);
    }

    ServerRole<T> role;
    wire::SessionState state;
    std::shared_ptr<Checkpoints> checkpoints;
    bool is_superseded = false;     // a newer connection has taken over
    std::vector<std::byte> answer;  // to a question; it lives until it is written
    std::mutex guard;               // of all of these

    bool is_connected = true;     // these two under the guard of clients_
    std::uint64_t last_used = 0;  // when it was admitted
  };

  const Learner<T>& learner() const {
    if (!learner_) throw std::logic_error("Server: each role has a part of its own");
    return *learner_;
  }

  /// Finds or makes the client of a hello, and admits it.
  ///
  /// A client that reconnects gets a copy of its role and state: the thread of its older connection
  /// may still send from the original; it ends at the next message.
  std::shared_ptr<KnownClient> admit(wire::Session& session);
  void admit(wire::Session& session, const std::shared_ptr<KnownClient>& client, bool is_known);
  std::shared_ptr<KnownClient> find(const wire::SessionId& id);

  /// Opens the checkpoints of a client that is not known, and brings it to a step from which its
  /// peer can go on.
  void resume(wire::Session& session, KnownClient& client, bool is_known);

  /// Forgets the oldest client that is not connected; refuses the new one if all are.
  void make_room(wire::Session& session);

  /// The client's connection is over. `keeps` says whether the client may come back.
  void leave(KnownClient& client, bool keeps);

  /// Tells the peer why, and keeps a client that has something to come back to.
  void give_up(transport::AnyLink& link, wire::Session& session, KnownClient* client,
               const ReasonedError& error);

  /// Answers one message; false after a goodbye.
  bool answer(transport::AnyLink& link, wire::Session& session, KnownClient& client);

  void train(wire::Session& session, KnownClient& client, const wire::Event& event,
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
  require_no_heartbeat("Server", options_.session);
  make_role_ = [learner = learner_, codec = std::move(codec),
                seed = options.seed](const wire::Hello&) {
    return ServerRole<T>{learner, CutReceiver<T>{codec, seed}};
  };
  make_role_({});  // throws for a part that no client can use
}

template <std::floating_point T>
Server<T>::Server(MakeRole make_role, const ServerOptions& options)
    : make_role_{std::move(make_role)}, options_{options} {
  require_no_heartbeat("Server", options_.session);
}

template <std::floating_point T>
void Server<T>::serve(transport::AnyLink link) {
  auto session = wire::Session::server(options_.session, transport::Clock::now());
  std::shared_ptr<KnownClient> client;
  try {
    wire::next(link, session, wire::MessageKind::hello);
    client = admit(session);
    while (answer(link, session, *client)) {
    }
    leave(*client, false);
  } catch (const ReasonedError& error) {
    give_up(link, session, client.get(), error);
    throw;
  } catch (...) {
    give_up(link, session, client.get(),
            WireError{Reason::peer_failed, "the server has failed at this step"});
    throw;
  }
}

template <std::floating_point T>
auto Server<T>::admit(wire::Session& session) -> std::shared_ptr<KnownClient> {
  const std::shared_ptr<KnownClient> older = find(session.hello().session);
  if (older == nullptr) {
    auto client = std::make_shared<KnownClient>(make_role_(session.hello()));
    admit(session, client, false);
    return client;
  }
  const std::lock_guard of_older{older->guard};  // it may be computing
  if (older->is_superseded)
    throw WireError(Reason::superseded, "a newer connection of this client came first");
  const auto client = std::make_shared<KnownClient>(older->role, older->state, older->checkpoints);
  try {
    admit(session, client, true);
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
  return client;
}

template <std::floating_point T>
void Server<T>::admit(wire::Session& session, const std::shared_ptr<KnownClient>& client,
                      bool is_known) {
  const ServerRole<T>& role = client->role;
  if (const auto refusal = wire::compare_settings(
          session.hello().settings,
          settings_of(role.part(), options_.method, role.receiver().codec().description(),
                      options_.agreed)))
    session.refuse(*refusal);
  resume(session, *client, is_known);
  const std::lock_guard lock{guard_};
  if (!clients_.contains(session.hello().session)) make_room(session);
  Checkpoints* const checkpoints = client->checkpoints.get();
  session.admit(client->state, checkpoints ? checkpoints->offered() : std::vector<std::uint64_t>{});
  if (checkpoints) checkpoints->agree(session.agreed());
  client->last_used = ++admitted_;
  clients_[client->state.id] = client;
}

template <std::floating_point T>
void Server<T>::save_checkpoints() {
  std::vector<std::shared_ptr<KnownClient>> all;
  {
    const std::lock_guard lock{guard_};
    for (const auto& [id, client] : clients_) all.push_back(client);
  }
  for (const auto& client : all) {
    const std::lock_guard lock{client->guard};
    const std::lock_guard computing{computing_};
    if (client->checkpoints && !client->is_superseded)
      client->checkpoints->save_if_possible(client->state, *client);
  }
}

template <std::floating_point T>
void Server<T>::resume(wire::Session& session, KnownClient& client, bool is_known) {
  const wire::Hello& hello = session.hello();
  if (!is_known && make_checkpoints_) client.checkpoints = make_checkpoints_(hello);
  if (!client.checkpoints) return;
  const std::lock_guard computing{computing_};
  if (!is_known) {
    client.checkpoints->use(hello.settings, hello.client, options_.seed);
    const auto& newest = client.checkpoints->found().newest;
    if (newest && newest->session != hello.session)
      session.refuse({"session", "another one", joined({"checkpoints of step ", newest->step})});
    if (newest) client.checkpoints->restore(newest->step, client.state, client);
  }
  client.checkpoints->meet(hello, client.state, client);
}

template <std::floating_point T>
auto Server<T>::find(const wire::SessionId& id) -> std::shared_ptr<KnownClient> {
  const std::lock_guard lock{guard_};
  const auto known = clients_.find(id);
  return known == clients_.end() ? nullptr : known->second;
}

template <std::floating_point T>
void Server<T>::make_room(wire::Session& session) {
  if (clients_.size() < options_.most_sessions) return;
  auto oldest = clients_.end();
  for (auto at = clients_.begin(); at != clients_.end(); ++at)
    if (!at->second->is_connected &&
        (oldest == clients_.end() || at->second->last_used < oldest->second->last_used))
      oldest = at;
  if (oldest == clients_.end())
    session.refuse({"session", "a new one", std::to_string(clients_.size()) + " already"});
  clients_.erase(oldest);
}

template <std::floating_point T>
void Server<T>::leave(KnownClient& client, bool keeps) {
  const std::lock_guard lock{guard_};
  client.is_connected = false;
  const auto known = clients_.find(client.state.id);
  if (!keeps && known != clients_.end() && known->second.get() == &client) clients_.erase(known);
}

template <std::floating_point T>
void Server<T>::give_up(transport::AnyLink& link, wire::Session& session, KnownClient* client,
                        const ReasonedError& error) {
  if (client == nullptr) return wire::tell(link, session, error);
  bool keeps = false;
  {
    const std::lock_guard lock{client->guard};
    keeps = client->state.steps.last() > 0 || client->role.has_decoder() || client->is_superseded ||
            (client->checkpoints && client->checkpoints->holds(0));
    if (!client->is_superseded) session.fail(error);
  }
  leave(*client, keeps);
  wire::flush_if_possible(link, session);
}

template <std::floating_point T>
bool Server<T>::answer(transport::AnyLink& link, wire::Session& session, KnownClient& client) {
  const wire::Event event = wire::next(link, session, client.guard);
  const std::lock_guard lock{client.guard};
  if (client.is_superseded)
    throw WireError(Reason::superseded, "a newer connection of this client has taken over");
  const std::lock_guard computing{computing_};
  const Workspace::Use use{workspace_};
  const std::uint64_t largest = session.agreed().largest_message;
  const auto reply = [&](wire::MessageKind kind, std::vector<std::byte> payload) {
    client.answer = std::move(payload);
    session.send(kind, std::array{wire::Bytes{client.answer}});
  };
  using enum wire::MessageKind;
  if (event.kind == forward) {
    train(session, client, event, largest);
  } else if (event.kind == evaluate) {
    reply(evaluated, client.role.answer(event.payload, largest));
  } else if (event.kind == fetch_weights) {
    reply(weights, weights_payload<T>(client.role.part()));
  } else if (event.kind == weights) {
    client.role.take_decoder(event.payload);
  } else if (event.kind == checkpoint) {
    CheckpointMessage message = CheckpointMessage::read(event.payload, client.state.steps.last());
    message.held = client.checkpoints ? client.checkpoints->save_joint(client.state, client)
                                      : CheckpointMessage::Held::never;
    reply(checkpoint, message.payload());
  } else if (event.kind == bye && client.checkpoints) {
    client.checkpoints->save_if_possible(client.state, client, true);
    client.checkpoints->end(client.state.steps.last());
  }
  return event.kind != bye;
}

template <std::floating_point T>
void Server<T>::train(wire::Session& session, KnownClient& client, const wire::Event& event,
                      std::uint64_t largest) {
  Checkpoints* const checkpoints = client.checkpoints.get();
  // So that a server that is started again knows the session.
  if (checkpoints && client.state.steps.last() == 0 && !checkpoints->holds(0))
    checkpoints->save_if_possible(client.state, client);
  std::vector<std::byte>& reply = session.new_reply();
  try {
    client.role.forward({client.state.client, event.at.step, event.at.micro}, event.payload,
                        largest, reply);
    session.prepare();
    client.role.commit(reply);
    session.commit();
  } catch (...) {
    client.role.discard();
    throw;
  }
  if (checkpoints && checkpoints->is_due(client.state.steps.last()))
    checkpoints->save_if_possible(client.state, client);
}

SPLITVIT_ONCE(class Server<float>);

}  // namespace splitvit::inline SPLITVIT_BUILD::split
