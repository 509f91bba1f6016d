// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // max
#include <functional>  // function
#include <memory>      // make_shared, shared_ptr, weak_ptr
#include <mutex>       // lock_guard, mutex

#include <splitvit/codec/any_codec.hpp>          // AnyCodec, Codec
#include <splitvit/nn/part.hpp>                  // Part
#include <splitvit/optim/optimizer.hpp>          // AnyRule
#include <splitvit/split/admitting.hpp>          // Admitting
#include <splitvit/split/answering.hpp>          // Answering, Patience
#include <splitvit/split/cut.hpp>                // CutReceiver
#include <splitvit/split/group.hpp>              // Aggregator, AnySharing, GroupCheckpoints
#include <splitvit/split/group_options.hpp>      // GroupOptions
#include <splitvit/split/known_client.hpp>       // KnownClient
#include <splitvit/split/known_clients.hpp>      // KnownClients
#include <splitvit/split/learner.hpp>            // Learner
#include <splitvit/split/options.hpp>            // ServerOptions
#include <splitvit/split/party_checkpoints.hpp>  // PartyCheckpoints
#include <splitvit/split/server_role.hpp>        // ServerRole
#include <splitvit/split/session_event.hpp>      // OnSessionEvent, SessionEvent
#include <splitvit/transport/any_link.hpp>       // AnyLink
#include <splitvit/wire/connection.hpp>          // Connection, options_on
#include <splitvit/wire/session.hpp>             // Session, SessionState

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
  using MakeRole = typename Admitting<T>::MakeRole;

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
  /// Registered clients that train one model together; see aggregator.hpp. `make_part` makes the
  /// server part, one for each client if the sharing policy says so, all with equal weights.
  /// Sessions are kept until the end.
  ///
  /// Errors  As the first one, and Aggregator's.
  Server(AnySharing<T> sharing, const GroupOptions& group,
         const std::function<nn::Part<T>()>& make_part, const optim::AnyRule<T>& rule,
         const codec::AnyCodec<T>& codec = {}, const ServerOptions& options = {});

  /// Makes what keeps a new client's checkpoints, in all threads that serve; null: none are kept.
  /// If they are those of an earlier process, the session goes on from them. If it throws a
  /// StorageError, the client is told why. See checkpoints.hpp.
  using MakeCheckpoints = std::function<std::shared_ptr<PartyCheckpoints>(const wire::Hello&)>;
  /// Call it before anybody is served.
  /// Errors  std::logic_error for a group of clients.
  void keep_checkpoints(MakeCheckpoints make) {
    if (answering_.group())
      throw std::logic_error("keep_checkpoints: a group has one for all its clients");
    admitting_.make_checkpoints = [make = std::move(make)](const wire::Hello& hello) {
      return CheckpointsOf<KnownClient>{make ? make(hello) : nullptr};
    };
  }

  /// The same for a group, see GroupCheckpoints: one checkpoint has all its clients. Goes on from
  /// the newest that `kept` holds. `on_went_back` is called whenever all clients have gone back to
  /// it since one had to. Where all clients are in this process and in its checkpoints, some may be
  /// left out, so that they take at most this `share` of the time.
  ///
  /// Errors  StorageError if it cannot be restored; std::logic_error without a group.
  void keep_group_checkpoints(std::shared_ptr<PartyCheckpoints> kept,
                              std::function<void()> on_went_back = {}, double share = 1) {
    if (!answering_.group())
      throw std::logic_error("keep_group_checkpoints: this server has no group");
    const auto make_role = [this] { return admitting_.make_role({}); };
    answering_.save_by(std::make_shared<GroupCheckpoints<T>>(
        std::move(kept),
        typename GroupCheckpoints<T>::Parties{answering_.group(), learner_, clients_, make_role},
        admitting_.settings(make_role()), options_.seed, std::move(on_went_back), share));
  }
  /// Of a group: the training is over, and all have said goodbye. While nobody is served.
  void end_checkpoints() {
    if (const auto& saved = answering_.saved()) saved->end();
  }

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

  /// Serves one connection, message by message, for a caller that has no thread for it.
  class Serving {
   public:
    Serving(Server& server, std::shared_ptr<wire::Connection> connection,
            OnSessionEvent on_event = {}, Patience patience = Patience::refuses)
        : server_{server},
          connection_{std::move(connection)},
          on_event_{std::move(on_event)},
          patience_{patience} {}

    /// Admits the client, answers its next message, or gives it the turn that it has asked for.
    /// Returns false after a goodbye. Errors  As serve.
    bool next();

   private:
    bool step();
    void tell(SessionEvent::Kind kind, const std::string& reason = {});
    void give_up(const ReasonedError& error, const std::string& reason);

    Server& server_;
    std::shared_ptr<wire::Connection> connection_;
    OnSessionEvent on_event_;
    Patience patience_;
    std::shared_ptr<split::KnownClient<T>> client_;
  };

  const ServerOptions& options() const { return options_; }
  /// The last step of a session, 0 if it is not known. Any thread may ask.
  std::uint64_t step_of(const wire::SessionId& id) const { return clients_.step_of(id); }
  /// A client's session, nothing before it has come; the bytes of all sessions. Any thread may ask.
  auto session_of(std::uint32_t number) const { return clients_.session_of(number); }
  Traffic traffic(Column column) const { return clients_.traffic(column); }
  /// Of a group: for whom all others wait; none while this computes. Any thread may ask.
  std::vector<std::uint32_t> awaited() { return answering_.awaited(); }
  /// Of a group: how many clients were skipped and have not come back; 0 before the training is
  /// over. Any thread may ask.
  std::uint32_t away_at_end() { return answering_.away_at_end(); }
  /// The rounds and the average of a group of clients; null without one. While nobody is served.
  const Aggregator<T>* group() const {
    return static_cast<const Aggregator<T>*>(answering_.group().get());
  }
  /// The part that all clients share; for a group whose clients have one each, the average.
  /// Errors  std::logic_error if each role has its own.
  const nn::Part<T>& part() const {
    const auto& group = answering_.group();
    return !learner_ && group ? group->server_part() : learner().part();
  }
  /// Training steps that have been applied, over all sessions.
  std::uint64_t steps() const { return learner().steps(); }

  /// The shared part, then the sessions by id; while nobody is served. See core/state.hpp.
  void each_state(auto&& see) {
    if (learner_) show_state(*learner_, see);
    std::size_t number = 0;
    for (const auto& client : clients_.all()) {
      const std::string prefix = "client." + std::to_string(number++) + ".";
      show_state(client->role, see, prefix);
      show_state(client->state, see, prefix);
    }
  }

 private:
  using KnownClient = split::KnownClient<T>;
  Server(codec::AnyCodec<T> codec, nn::Part<T> part, optim::AnyRule<T> rule,
         const ServerOptions& options);

  const Learner<T>& learner() const {
    if (!learner_) throw std::logic_error("Server: each role has a part of its own");
    return *learner_;
  }

  /// Tells the peer why, and keeps a client that has something to come back to.
  void give_up(wire::Connection& connection, KnownClient* client, const ReasonedError& error);

  std::shared_ptr<Learner<T>> learner_;
  ServerOptions options_;
  KnownClients<T> clients_;
  Answering<T> answering_{options_.part_timeout};
  Admitting<T> admitting_{options_, clients_, answering_};
};

template <std::floating_point T>
Server<T>::Server(codec::AnyCodec<T> codec, nn::Part<T> part, optim::AnyRule<T> rule,
                  const ServerOptions& options)
    : learner_{std::make_shared<Learner<T>>(std::move(part), std::move(rule), options.training)},
      options_{options},
      clients_{options_.most_sessions, options_.keep_for} {
  admitting_.make_role = [learner = learner_, codec = std::move(codec),
                          seed = options.seed](const wire::Hello&) {
    return ServerRole<T>{learner, CutReceiver<T>{codec, seed}};
  };
  admitting_.make_role({});  // throws for a part that no client can use
}

template <std::floating_point T>
Server<T>::Server(MakeRole make_role, const ServerOptions& options)
    : options_{options}, clients_{options_.most_sessions, options_.keep_for} {
  admitting_.make_role = std::move(make_role);
}

template <std::floating_point T>
Server<T>::Server(AnySharing<T> sharing, const GroupOptions& group,
                  const std::function<nn::Part<T>()>& make_part, const optim::AnyRule<T>& rule,
                  const codec::AnyCodec<T>& codec, const ServerOptions& options)
    : options_{options},
      clients_{std::max<std::size_t>(options.most_sessions, group.clients),
               options.keep_for.max()} {
  const auto make_learner = [=, training = options.training] {
    return std::make_shared<Learner<T>>(make_part(), rule, training);
  };
  if (!sharing.has_part_for_each) learner_ = make_learner();
  admitting_.make_role = [=, learner = learner_, seed = options.seed](const wire::Hello&) {
    return ServerRole<T>{learner ? learner : make_learner(), CutReceiver<T>{codec, seed}};
  };
  answering_.use(
      std::make_shared<Aggregator<T>>(std::move(sharing), admitting_.make_role({}).part(), group));
}

template <std::floating_point T>
void Server<T>::serve(transport::AnyLink link) {
  auto session =
      wire::Session::server(wire::options_on(link, options_.session), transport::Clock::now());
  serve(std::make_shared<wire::Connection>(std::move(link), std::move(session)));
}

template <std::floating_point T>
void Server<T>::serve(const std::shared_ptr<wire::Connection>& connection,
                      const OnSessionEvent& on_event) {
  Serving serving{*this, connection, on_event, Patience::waits};
  while (serving.next()) {
  }
}

template <std::floating_point T>
bool Server<T>::Serving::next() {
  try {
    return step();
  } catch (const ReasonedError& error) {
    give_up(error, error.what());
    throw;
  } catch (const std::exception& error) {
    give_up(WireError{Reason::peer_failed, "the server has failed at this step"}, error.what());
    throw;
  }
}

template <std::floating_point T>
bool Server<T>::Serving::step() {
  if (client_ == nullptr) {
    if (!connection_->session()->has_hello()) connection_->next(wire::MessageKind::hello);
    client_ = server_.admitting_(connection_);
    const bool is_new = connection_->session()->hello().connection == 0;
    tell(is_new ? SessionEvent::Kind::began : SessionEvent::Kind::resumed);
    connection_->flush();
    return true;
  }
  if (client_->awaits_turn) {
    server_.answering_.give_turn(*connection_, *client_, patience_);
    return true;
  }
  if (server_.answering_(*connection_, client_, connection_->next(), patience_)) {
    connection_->flush();
    return true;
  }
  server_.clients_.leave(*client_, server_.answering_.group() != nullptr);
  connection_->stop();
  tell(SessionEvent::Kind::ended);
  return false;
}

template <std::floating_point T>
void Server<T>::Serving::tell(SessionEvent::Kind kind, const std::string& reason) {
  SessionEvent event{.kind = kind, .reason = reason};
  if (client_ != nullptr) {
    const std::lock_guard lock{*client_->guard};
    event.id = client_->state.id;
    event.step = client_->state.steps.last();
  }
  if (on_event_) on_event_(event);
}

template <std::floating_point T>
void Server<T>::Serving::give_up(const ReasonedError& error, const std::string& reason) {
  server_.give_up(*connection_, client_.get(), error);
  connection_->stop();
  tell(client_ == nullptr ? SessionEvent::Kind::refused : SessionEvent::Kind::lost, reason);
}

template <std::floating_point T>
void Server<T>::save_checkpoints() {
  for (const auto& client : clients_.all()) {
    const std::lock_guard computing{answering_.guard()};
    if (!client->was_superseded()) client->save_checkpoint();
  }
}

template <std::floating_point T>
void Server<T>::give_up(wire::Connection& connection, KnownClient* client,
                        const ReasonedError& error) {
  bool tells = true, keeps = false;
  if (client != nullptr) {
    const std::lock_guard computing{answering_.guard()};  // it may be saved
    answering_.abandon(*client);
    const std::lock_guard lock{*client->guard};
    keeps = client->is_worth_keeping();
    tells = !client->is_superseded;
  }
  if (client != nullptr) clients_.leave(*client, keeps);
  if (tells) connection.tell(error);
}

SPLITVIT_ONCE(class Server<float>);

}  // namespace splitvit::inline SPLITVIT_BUILD::split
