// SPDX-License-Identifier: MIT
#pragma once

#include <array>        // array
#include <concepts>     // floating_point
#include <cstddef>      // byte
#include <cstdint>      // uint64_t
#include <functional>   // function
#include <map>          // map
#include <memory>       // make_shared, shared_ptr
#include <mutex>        // lock_guard, mutex
#include <stdexcept>    // logic_error
#include <string>       // to_string
#include <type_traits>  // type_identity_t
#include <utility>      // move
#include <vector>       // vector

#include <splitvit/codec/any_codec.hpp>      // AnyCodec, Codec
#include <splitvit/codec/float32.hpp>        // Float32
#include <splitvit/core/describe.hpp>        // describe
#include <splitvit/core/workspace.hpp>       // Workspace
#include <splitvit/nn/part.hpp>              // Part
#include <splitvit/optim/any_rule.hpp>       // AnyRule
#include <splitvit/split/cut_receiver.hpp>   // CutReceiver
#include <splitvit/split/learner.hpp>        // Learner
#include <splitvit/split/options.hpp>        // ServerOptions
#include <splitvit/split/server_role.hpp>    // ServerRole
#include <splitvit/split/settings.hpp>       // settings_of
#include <splitvit/split/step_id.hpp>        // StepId
#include <splitvit/transport/any_link.hpp>   // AnyLink
#include <splitvit/wire/io.hpp>              // flush, flush_if_possible, next, tell
#include <splitvit/wire/session.hpp>         // Session, SessionState
#include <splitvit/wire/tensor_payload.hpp>  // PayloadWriter

// Server: owns the last blocks. Trains them on what clients send, and sends gradients.

namespace splitvit::split {

/// The party that has the last blocks: roles, sessions and links. Only this class waits for links.
///
///   Server server{part, Adam{.lr = 1e-3}};
///   server.serve(std::move(link));  // until the client says goodbye
///
/// It does not need to know the client's stages: it receives fewer samples and tokens, and sends
/// the gradient of what it received. Several threads may serve at the same time, each one session;
/// one of them computes at a time.
template <std::floating_point T>
class Server {
 public:
  /// Makes the role for a new client from its hello. Called by all threads that serve. A WireError
  /// that it throws reaches the client.
  using MakeRole = std::function<ServerRole<T>(const wire::Hello&)>;

  /// One part, which all clients train.
  ///
  /// Errors  std::invalid_argument unless the part is the last of a model, for options of the rule
  ///         outside their range, or for heartbeats, which this driver cannot send while it
  ///         computes.
  template <codec::Codec<T> Code>
  Server(nn::Part<T> part, std::type_identity_t<optim::AnyRule<T>> rule, Code codec,
         const ServerOptions& options = {})
      : learner_{std::make_shared<Learner<T>>(std::move(part), std::move(rule), options.training)},
        options_{options} {
    require_no_heartbeat("Server", options_.session);
    make_role_ = [learner = learner_, code = codec::AnyCodec<T>{std::move(codec)},
                  seed = options.seed](const wire::Hello&) {
      return ServerRole<T>{learner, CutReceiver<T>{code, seed}};
    };
    make_role_({});  // throws for a part that no client can use
  }
  /// With codec Float32.
  Server(nn::Part<T> part, std::type_identity_t<optim::AnyRule<T>> rule,
         const ServerOptions& options = {})
      : Server(std::move(part), std::move(rule), codec::Float32{}, options) {}
  /// A role for each client, with a part of its own or a shared one.
  explicit Server(MakeRole make_role, const ServerOptions& options = {})
      : make_role_{std::move(make_role)}, options_{options} {
    require_no_heartbeat("Server", options_.session);
  }

  /// Serves one client until it says goodbye. A client whose link broke may reconnect: serve its
  /// new link, and the session continues.
  ///
  /// Errors  WireError if the settings differ or the client sends invalid bytes; it is told why.
  ///         TransportError if the link fails, is closed without goodbye, or is silent for too
  ///         long. A step is applied as a whole or not at all, and the server can serve again
  ///         afterwards.
  void serve(transport::AnyLink link) {
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

  /// The part and the optimiser that all clients share.
  ///
  /// Errors  std::logic_error for a server that makes roles with parts of their own.
  const nn::Part<T>& part() const { return learner().part(); }
  const optim::Optimizer<T>& optimizer() const { return learner().optimizer(); }
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
  /// A client that is or was connected.
  struct KnownClient {
    explicit KnownClient(ServerRole<T> r) : role{std::move(r)} {}

    ServerRole<T> role;
    wire::SessionState state;
    std::vector<std::byte> answer;  // to a question; it lives until it is written
    bool has_decoder = false;       // one that the client has given
    bool is_superseded = false;     // a newer connection has taken over
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
  std::shared_ptr<KnownClient> admit(wire::Session& session) {
    const std::shared_ptr<KnownClient> older = find(session.hello().session);
    if (older == nullptr)
      return admit(session, std::make_shared<KnownClient>(make_role_(session.hello())));
    const std::lock_guard of_older{older->guard};  // it may be computing
    if (older->is_superseded)
      throw WireError(Reason::superseded, "a newer connection of this client came first");
    auto client = std::make_shared<KnownClient>(older->role);
    client->state = older->state;
    client->has_decoder = older->has_decoder;
    client = admit(session, std::move(client));
    older->is_superseded = true;
    return client;
  }
  std::shared_ptr<KnownClient> admit(wire::Session& session, std::shared_ptr<KnownClient> client) {
    const ServerRole<T>& role = client->role;
    if (const auto refusal =
            wire::compare_settings(session.hello().settings,
                                   settings_of(role.part(), options_.method,
                                               describe(role.receiver().codec()), options_.agreed)))
      session.refuse(*refusal);
    const std::lock_guard lock{guard_};
    if (!clients_.contains(session.hello().session)) make_room(session);
    session.admit(client->state);
    client->last_used = ++admitted_;
    clients_[client->state.id] = client;
    return client;
  }

  std::shared_ptr<KnownClient> find(const wire::SessionId& id) {
    const std::lock_guard lock{guard_};
    const auto known = clients_.find(id);
    return known == clients_.end() ? nullptr : known->second;
  }

  /// Forgets the client that was admitted first of those that are not connected, if there are too
  /// many. Refuses the new one if all are connected.
  void make_room(wire::Session& session) {
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

  /// The client's connection is over. `keeps` says whether the client may come back.
  void leave(KnownClient& client, bool keeps) {
    const std::lock_guard lock{guard_};
    client.is_connected = false;
    const auto known = clients_.find(client.state.id);
    if (!keeps && known != clients_.end() && known->second.get() == &client) clients_.erase(known);
  }

  /// Tells the peer why, and keeps a client that has something to come back to.
  void give_up(transport::AnyLink& link, wire::Session& session, KnownClient* client,
               const ReasonedError& error) {
    if (client == nullptr) return wire::tell(link, session, error);
    bool keeps = false;
    {
      const std::lock_guard lock{client->guard};
      keeps = client->state.steps.last() > 0 || client->has_decoder || client->is_superseded;
      if (!client->is_superseded) session.fail(error);
    }
    leave(*client, keeps);
    wire::flush_if_possible(link, session);
  }

  /// Answers one message; false after a goodbye.
  bool answer(transport::AnyLink& link, wire::Session& session, KnownClient& client) {
    const wire::Event event = wire::next(link, session, client.guard);
    {
      const std::lock_guard lock{client.guard};
      if (client.is_superseded)
        throw WireError(Reason::superseded, "a newer connection of this client has taken over");
      const std::lock_guard computing{computing_};
      const Workspace::Use use{workspace_};
      const auto reply = [&](wire::MessageKind kind, std::vector<std::byte> payload) {
        client.answer = std::move(payload);
        session.send(kind, std::array{wire::Bytes{client.answer}});
      };
      switch (event.kind) {
        case wire::MessageKind::forward:
          train(session, client, event);
          break;
        case wire::MessageKind::evaluate:
          reply(wire::MessageKind::evaluated,
                client.role.evaluate(event.payload, largest(session)).payload());
          break;
        case wire::MessageKind::fetch_weights: {
          wire::PayloadWriter out;
          client.role.put_weights(out);
          reply(wire::MessageKind::weights, out.gather());  // a copy: they may change meanwhile
          break;
        }
        case wire::MessageKind::weights:
          client.role.take_decoder(event.payload);
          client.has_decoder = true;
          break;
        default:
          return false;  // a goodbye: the session refuses all other kinds
      }
    }
    wire::flush(link, session);
    return true;
  }

  void train(wire::Session& session, KnownClient& client, const wire::Event& event) {
    std::vector<std::byte>& reply = session.new_reply();
    const StepId id{.client = client.state.client, .step = event.at.step, .micro = event.at.micro};
    try {
      client.role.forward(id, event.payload, largest(session), reply);
      session.prepare();
      client.role.commit(reply);
      session.commit();
    } catch (...) {
      client.role.discard();
      throw;
    }
  }

  static std::uint64_t largest(const wire::Session& session) {
    return session.agreed().largest_message;
  }

  std::shared_ptr<Learner<T>> learner_;
  MakeRole make_role_;
  ServerOptions options_;
  std::mutex guard_;  // of clients_
  std::map<wire::SessionId, std::shared_ptr<KnownClient>> clients_;
  std::uint64_t admitted_ = 0;
  std::mutex computing_;  // one thread computes
  Workspace workspace_;   // of that thread
};

}  // namespace splitvit::split
