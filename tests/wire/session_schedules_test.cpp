// SPDX-License-Identifier: MIT
#include <cstdlib>
#include <memory>

#include <splitvit/wire/session.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

// Random schedules: the sessions of a client and a server in virtual time, over a wire that loses
// what is under way, and with parties that die. Whatever happens, every step is applied once and in
// order on both sides, and the client gets the reply that was computed when the server applied it.
//
// SPLITVIT_SCHEDULES in the environment says how many (100,000 if it is not set), and
// SPLITVIT_FIRST_SCHEDULE the number of the first one, to see a failure again.

namespace splitvit::wire {

namespace {

using namespace std::chrono_literals;
using Buffer = std::vector<std::byte>;

/// A schedule has shown a mistake.
struct Violation : std::logic_error {
  using std::logic_error::logic_error;
};
void must(bool condition, const char* what) {
  if (!condition) throw Violation(what);
}

/// What must hold for the steps, whatever the sessions do.
class TrainingModel {
 public:
  void server_applies(std::uint64_t step, const std::vector<Buffer>& replies) {
    must(step == replies_.size() + 1, "the server applies a step out of order, or twice");
    replies_.push_back(replies);
  }
  void client_applies(std::uint64_t step, const std::vector<Buffer>& replies) {
    must(step == client_ + 1, "the client applies a step out of order, or twice");
    must(step <= replies_.size(), "the client applies a step that the server has not");
    must(replies == replies_[step - 1], "the client has other replies than the server computed");
    client_ = step;
  }
  std::uint64_t at_client() const { return client_; }
  std::uint64_t at_server() const { return replies_.size(); }

 private:
  std::vector<std::vector<Buffer>> replies_;  // of the steps that the server has applied
  std::uint64_t client_ = 0;
};

/// One direction of a connection.
struct Way {
  Buffer flying;                       // taken from the sender, not given to the receiver
  std::uint64_t taken = 0, given = 0;  // bytes
  std::uint64_t sent_before = 0, received_before = 0;  // by the tallies, when it began
  std::uint64_t messages_before = 0;
  Buffer all;            // what was taken
  bool foreign = false;  // bytes of an earlier connection were put in: the receiver may give up
  bool forged = false;   // a whole frame of it, with the right sequence number: it must
};

struct Connection {
  std::optional<Session> client, server;
  Way up, down;
  bool silent = false;  // all bytes vanish, and nobody is told
  // What the server is computing, and the replies to the parts of the step so far.
  std::optional<StepNumber> job;
  Buffer asked;
  Time job_ends{};
  std::vector<Buffer> replies;
};

class Schedule {
 public:
  explicit Schedule(std::uint64_t number) : rng_{.seed = 77, .stream = number} {
    steps_ = static_cast<std::uint64_t>(1 + rng_.below(4));
    faults_ = rng_.below(5);
    dies_ = chance(2);
    largest_piece_ = chance(2) ? 40 : 4000;
    slow_ = chance(3);
    const bool beats[] = {chance(2), chance(2)};
    client_options_.heartbeat = beats[0] ? 5s : 0s;
    server_options_.heartbeat = beats[1] ? 4s : 0s;
    if (!beats[0] || !beats[1]) client_options_.step_timeout = server_options_.step_timeout = 60s;
    at_client_.id = {1, number + 1};
    client_disk_ = at_client_;
  }

  void run() {
    int actions = 0;
    while (model_.at_client() < steps_) {
      must(++actions < 20'000, "the schedule hangs");
      act();
    }
    std::uint64_t parts = 0;
    for (std::uint64_t step = 1; step <= steps_; ++step) parts += parts_of(step);
    // As many messages as in a training that nothing disturbs; all others are repeats.
    const auto once = [](const Tally& tally, MessageKind kind) { return tally.of(kind).messages; };
    must(once(at_client_.sent, MessageKind::forward) == parts, "sent forward messages");
    must(once(at_server_.received, MessageKind::forward) == parts, "received forward messages");
    must(once(at_server_.sent, MessageKind::backward) == parts, "sent backward messages");
    must(once(at_client_.received, MessageKind::backward) == parts, "received backward messages");
    must(once(at_client_.sent, MessageKind::hello) == 1, "sent hello messages");
    must(once(at_server_.received, MessageKind::hello) == 1, "received hello messages");
    must(model_.at_server() == steps_, "steps at the server");
    if (now_at_) end_connection();
  }

  std::uint64_t connections() const { return connections_; }

 private:
  // --- what is trained

  std::uint32_t parts_of(std::uint64_t step) const {
    return 1 + static_cast<std::uint32_t>(rng_.at(1, step).below(5)) / 3;  // 1 or 2
  }
  Buffer contents_of(StepNumber at) const {
    Rng rng = rng_.at(2, at.step, at.micro);
    Buffer bytes(static_cast<std::size_t>(rng.below(30)), std::byte{7});
    ByteWriter{bytes}.put(at.step);
    return bytes;
  }
  /// A reply that no other computation has given.
  void compute(Buffer& reply) {
    reply.assign(static_cast<std::size_t>(chance(20) ? 5000 : rng_.below(30)), std::byte{9});
    ByteWriter{reply}.put(++computations_);
  }

  // --- chance

  bool chance(Index one_in) { return rng_.below(one_in) == 0; }
  bool fault(Index one_in) {
    if (faults_ == 0 || !chance(one_in)) return false;
    --faults_;
    return true;
  }

  // --- one thing happens

  void act() {
    if (!now_at_) return connect();
    if (fault(12)) return cause_fault();
    // While there are faults, time may pass although there is something to do.
    if (slow_ && faults_ > 0 && chance(6)) return pass_time();
    const Index first = rng_.below(7);
    for (Index i = 0; i < 7; ++i)
      if (now_at_ && try_action((first + i) % 7)) return;
    if (now_at_) pass_time();
  }

  bool try_action(Index action) {
    Connection& c = *now_at_;
    switch (action) {
      case 0:
        return client_acts(c);
      case 1:
        return server_acts(c);
      case 2:
        return take(c, *c.client, c.up);
      case 3:
        return c.server && take(c, *c.server, c.down);
      case 4:
        return give_to_client(c);
      case 5:
        return give_to_server(c);
      default:  // the end of an older connection that the server still has
        return old_ && (give_to_server(*old_) || server_acts(*old_));
    }
  }

  void connect() {
    ++connections_;
    now_at_ = std::make_unique<Connection>();
    Connection& c = *now_at_;
    c.up.sent_before = at_client_.sent.total().framed;
    c.down.received_before = at_client_.received.total().framed;
    c.down.messages_before = at_client_.received.total().messages;
    c.client = Session::client(at_client_, {}, client_options_, now_);
    c.server = Session::server(server_options_, now_);
    client_replies_.clear();
    waits_ = false;
    if (fault(6)) put_old_bytes(c);
  }

  /// Bytes of an earlier connection come first.
  void put_old_bytes(Connection& c) {
    for (const auto& [way, old] : {std::pair{&c.up, &old_up_}, std::pair{&c.down, &old_down_}}) {
      if (old->empty()) continue;
      way->flying = *old;
      way->foreign = true;
    }
  }

  void pass_time() {
    Connection& c = *now_at_;
    Time wake = c.client->wake_at();
    if (c.server) wake = std::min(wake, c.server->wake_at());
    if (c.job) wake = std::min(wake, c.job_ends);
    if (old_ && old_->job) wake = std::min(wake, old_->job_ends);
    must(wake != Time::max(), "both sides wait for ever");
    now_ = std::max(now_, wake);
    // A silent wire, slow bytes, or the death of the peer: the only reasons for a timeout.
    if (c.server && !attempt(c, [&] { c.server->tick(now_); })) {
      c.server.reset();
      return lose_connection();
    }
    if (!attempt(c, [&] { c.client->tick(now_); })) lose_connection();
  }

  // --- the parties

  bool client_acts(Connection& c) {
    if (!c.client->is_open() || waits_) return false;
    const StepNumber at = c.client->next();
    must(at.step == model_.at_client() + 1, "the client's session is at another step");
    if (at.micro < parts_of(at.step)) {
      const Buffer contents = contents_of(at);
      c.client->send_step(std::array{Bytes{contents}});
      waits_ = true;
      return true;
    }
    if (dies_ && fault(4)) {  // between the reply and its commit
      client_dies();
      return true;
    }
    c.client->prepare();
    model_.client_applies(at.step, client_replies_);
    client_replies_.clear();
    c.client->commit();
    client_disk_ = at_client_;
    return true;
  }

  bool server_acts(Connection& c) {
    if (!c.server || !c.job || now_ < c.job_ends) return false;
    const StepNumber at = *std::exchange(c.job, std::nullopt);
    if (is_superseded(c)) {
      must(test::reason_of([&] { c.server->prepare(); }) == Reason::superseded,
           "a step of an older connection can be applied");
      return true;
    }
    must(c.asked == contents_of(at), "the server got other contents than the client sent");
    compute(c.server->new_reply());
    c.replies.resize(at.micro);
    c.replies.push_back(at_server_.steps.begun_reply() ? *at_server_.steps.begun_reply()
                                                       : Buffer{});
    if (at.micro + 1 < parts_of(at.step)) {
      c.server->reply();
      return true;
    }
    if (dies_ && fault(4)) {  // the reply is computed, but not committed
      server_dies();
      return true;
    }
    c.server->prepare();
    model_.server_applies(at.step, c.replies);
    c.server->commit();
    server_disk_ = at_server_;
    return true;
  }

  void server_hears(Connection& c, const Event& event) {
    must(!is_superseded(c), "an older connection is still heard");
    switch (event.kind) {
      case MessageKind::hello:
        c.down.sent_before = at_server_.sent.total().framed;
        c.up.received_before = at_server_.received.total().framed;
        c.up.messages_before = at_server_.received.total().messages;
        c.server->admit(at_server_);
        // A hello was so late that its client has given up: it takes over all the same.
        if (&c != now_at_.get()) overtaken_ = true;
        break;
      case MessageKind::forward:
        must(!c.job, "a step comes while one is computed");
        c.job = event.at;
        c.asked.assign(event.payload.begin(), event.payload.end());
        c.job_ends = now_ + (slow_ ? std::chrono::seconds{rng_.below(40)} : 0s);
        break;
      default:
        throw Violation("the server got a message that the client has not sent");
    }
    check_received(c.up, at_server_);
  }

  void client_hears(Connection& c, const Event& event) {
    if (event.kind == MessageKind::backward) {
      must(waits_, "a reply comes that nobody waits for");
      waits_ = false;
      client_replies_.emplace_back(event.payload.begin(), event.payload.end());
    } else {
      must(event.kind == MessageKind::welcome, "the client got what the server has not sent");
    }
    check_received(c.down, at_client_);
  }

  /// After a whole message, all bytes that came are counted.
  void check_received(const Way& way, const SessionState& state) const {
    must(!way.forged, "a frame of an earlier connection is believed");
    if (!way.foreign)
      must(state.received.total().framed - way.received_before == way.given,
           "the tally is not what has come");
  }

  bool is_superseded(const Connection& c) const {
    return c.server->is_open() && c.server->agreed().connection != at_server_.connection;
  }

  // --- the wire

  bool take(Connection&, Session& from, Way& way) {
    const Bytes out = from.output();
    if (out.empty()) return false;
    const std::size_t n = piece_of(out.size());
    if (!now_at_->silent) way.flying.insert(way.flying.end(), out.begin(), out.begin() + at(n));
    way.taken += n;
    way.all.insert(way.all.end(), out.begin(), out.begin() + at(n));
    from.written(n, now_);
    return true;
  }
  std::size_t piece_of(std::size_t size) {
    return std::min(size, static_cast<std::size_t>(1 + rng_.below(largest_piece_)));
  }
  static std::ptrdiff_t at(std::size_t n) { return static_cast<std::ptrdiff_t>(n); }

  template <class Hears>
  void give(Way& way, Session& to, std::size_t n, const Hears& hears) {
    Bytes bytes = Bytes{way.flying}.first(n);
    while (!bytes.empty()) {
      const auto into = to.space();
      const std::size_t some = std::min(into.size(), bytes.size());
      std::ranges::copy(bytes.first(some), into.begin());
      bytes = bytes.subspan(some);
      way.given += some;
      if (const auto event = to.filled(some, now_)) hears(*event);
    }
    way.flying.erase(way.flying.begin(), way.flying.begin() + at(n));
  }
  bool give_to_server(Connection& c) {
    if (!c.server || c.server->is_over() || c.up.flying.empty()) return false;
    if (attempt(c, [&] {
          give(c.up, *c.server, piece_of(c.up.flying.size()),
               [&](const Event& event) { server_hears(c, event); });
        }))
      return true;
    if (&c != now_at_.get()) {
      old_.reset();
      return true;
    }
    c.server.reset();
    lose_connection();
    return true;
  }
  bool give_to_client(Connection& c) {
    if (c.down.flying.empty()) return false;
    if (!attempt(c, [&] {
          give(c.down, *c.client, piece_of(c.down.flying.size()),
               [&](const Event& event) { client_hears(c, event); });
        }))
      lose_connection();
    return true;
  }

  /// False if it fails as it may.
  template <class Work>
  bool attempt(Connection& c, const Work& work) {
    try {
      work();
      return true;
    } catch (const ReasonedError& error) {
      const bool foreign = c.up.foreign || c.down.foreign;
      const bool old = &c != now_at_.get();
      const Reason reason = error.reason();
      if (reason == Reason::timed_out) {
        must(c.silent || slow_ || foreign || overtaken_, "a timeout on a good wire");
      } else if (reason == Reason::superseded) {
        must(old || overtaken_, "the newest connection is superseded");
      } else if (reason == Reason::peer_failed) {
        must(failed_, "the peer did not fail");
      } else if (!foreign) {
        throw Violation(std::string{"an error on a good wire: "} + error.what());
      }
      return false;
    }
  }

  // --- what goes wrong

  /// A frame of the last connection comes again, where one of this connection with its sequence
  /// number is expected.
  void forge(Way& way, const Buffer& frames, const Session& to, const SessionState& state) {
    const Count all = state.received.total();
    if (!to.is_open() || !way.flying.empty() || all.framed - way.received_before != way.given)
      return;
    const std::uint64_t wanted = all.messages - way.messages_before - 1;  // without the handshake
    for (std::size_t begin = 0; begin + frame_header_bytes <= frames.size();) {
      ByteReader in{Bytes{frames}.subspan(begin + 8)};
      const std::size_t size = frame_header_bytes + in.get<std::uint32_t>();
      const auto connection = in.get<std::uint32_t>();
      const auto sequence = in.get<std::uint64_t>();
      if (begin + size > frames.size()) return;
      if (connection > 0 && sequence == wanted) {
        way.flying.assign(frames.begin() + at(begin), frames.begin() + at(begin + size));
        way.foreign = way.forged = true;
        return;
      }
      begin += size;
    }
  }

  void cause_fault() {
    Connection& c = *now_at_;
    switch (rng_.below(dies_ ? 7 : 5)) {
      case 0:
        return lose_connection();
      case 1:
        if (c.server && !is_superseded(c)) forge(c.up, frames_up_, *c.server, at_server_);
        return;
      case 4:
        return forge(c.down, frames_down_, *c.client, at_client_);
      case 2:
        c.silent = true;
        c.up.flying.clear();
        c.down.flying.clear();
        return;
      case 3:
        if (!c.server || !c.server->is_open()) return;
        c.server->fail(WireError(Reason::not_finite, "the loss is NaN"));
        c.job.reset();
        failed_ = true;
        return;
      case 5:
        return client_dies();
      default:
        return server_dies();
    }
  }

  void client_dies() {
    lose_connection();
    at_client_ = client_disk_;
  }
  void server_dies() {
    lose_connection();
    old_.reset();
    at_server_ = server_disk_;
  }

  /// The client notices at once. The server's end may live on until a newer one takes over.
  void lose_connection() {
    end_connection();
    Connection& c = *now_at_;
    if (chance(2)) {
      old_up_ = c.up.flying;
      old_down_ = c.down.flying;
    }
    frames_up_ = std::move(c.up.all);
    frames_down_ = std::move(c.down.all);
    c.client.reset();
    if (c.server && chance(2)) {
      if (chance(2))
        c.up.flying.resize(
            static_cast<std::size_t>(rng_.below(static_cast<Index>(c.up.flying.size()) + 1)));
      old_ = std::move(now_at_);
    }
    now_at_.reset();
  }

  /// What was queued has been counted, whether or not it was taken.
  void end_connection() {
    Connection& c = *now_at_;
    const auto rest = [&](Session& session) {
      std::uint64_t bytes = 0;
      for (Bytes out = session.output(); !out.empty(); out = session.output()) {
        bytes += out.size();
        session.written(out.size(), now_);
      }
      return bytes;
    };
    must(at_client_.sent.total().framed - c.up.sent_before == c.up.taken + rest(*c.client),
         "the client's tally is not what it has sent");
    if (c.server && c.server->is_open() && !is_superseded(c))
      must(at_server_.sent.total().framed - c.down.sent_before == c.down.taken + rest(*c.server),
           "the server's tally is not what it has sent");
  }

  Rng rng_;
  std::uint64_t steps_ = 0, computations_ = 0, connections_ = 0;
  Index faults_ = 0, largest_piece_ = 1;
  bool dies_ = false, slow_ = false, failed_ = false, overtaken_ = false;
  SessionOptions client_options_, server_options_;
  Time now_{};
  SessionState at_client_, at_server_, client_disk_, server_disk_;
  std::vector<Buffer> client_replies_;  // to the step under way
  bool waits_ = false;                  // the client, for a reply
  TrainingModel model_;
  std::unique_ptr<Connection> now_at_, old_;
  Buffer old_up_, old_down_;        // what flew when an earlier connection was lost
  Buffer frames_up_, frames_down_;  // all that the last connection has sent
};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr && *text != '\0' ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

TEST_CASE("Session: any schedule applies every step once, in order, on both sides", "[wire]") {
  const std::uint64_t first = number_from("SPLITVIT_FIRST_SCHEDULE", 0);
  const std::uint64_t count = number_from("SPLITVIT_SCHEDULES", 100'000);
  std::uint64_t connections = 0;
  for (std::uint64_t number = first; number < first + count; ++number) {
    try {
      Schedule schedule{number};
      schedule.run();
      connections += schedule.connections();
    } catch (const std::exception& error) {
      FAIL("schedule " << number << ": " << error.what());
    }
  }
  CHECK(connections >= count);
  INFO(connections << " connections");
}

}  // namespace splitvit::wire
