// SPDX-License-Identifier: MIT
#include <splitvit/wire/io.hpp>
#include <splitvit/wire/session.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/drain.hpp"
#include "support/links.hpp"
#include "support/peers.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using namespace std::chrono_literals;
using test::bytes_of;
using test::drain;
using test::feed;
using test::Peers;
using test::random_bytes;
using test::reason_of;
using test::ScriptLink;

namespace {

const Settings training_settings{{"model", "vit"}, {"cut", "2"}, {"seed", "42"}};

// The smallest training there is: a step has a number, and the server adds it to a sum.

/// Serves until bye. `sum` is the state: what all steps so far have added.
template <class Link>
void serve_sums(Link& link, SessionState& state, std::uint64_t& sum) {
  auto session = Session::server({}, transport::Clock::now());
  const auto due = [](Bytes payload) { return ByteReader{payload}.get<std::uint64_t>(); };
  next(link, session, MessageKind::hello);
  if (const auto refusal = compare_settings(session.hello().settings, training_settings))
    session.refuse(*refusal);
  session.admit(state);
  while (true) {
    const Event event = next(link, session);
    if (event.kind == MessageKind::bye) return;
    const std::uint64_t after = sum + due(event.payload);
    ByteWriter{session.new_reply()}.put(after);
    session.prepare();
    sum = after;
    session.commit();
  }
}

/// Trains three steps. `sum` is what the server's replies said last.
template <class Link>
void train_sums(Link& link, SessionState& state, std::uint64_t& sum) {
  auto session = Session::client(state, training_settings, {}, transport::Clock::now());
  next(link, session, MessageKind::welcome);
  while (state.steps.last() < 3) {
    std::vector<std::byte> payload;
    ByteWriter{payload}.put(10 * (state.steps.last() + 1));
    session.send_step(std::array{Bytes{payload}});
    sum = ByteReader{next(link, session, MessageKind::backward).payload}.get<std::uint64_t>();
    session.commit();
  }
  session.send(MessageKind::bye);
  flush(link, session);
}

struct RecordedSums {
  std::vector<std::byte> from_client;
  std::vector<std::byte> from_server;
};

/// All bytes of the exchange above. The server needs nothing but the client's bytes, so the
/// client is played by a script, one reply longer each time.
RecordedSums record_sums() {
  RecordedSums recording;
  for (int messages = 0; messages < 5; ++messages) {
    std::uint64_t sum = 0;
    ScriptLink link{recording.from_server};
    SessionState at_client{.id = {5, 6}}, at_server;
    reason_of([&] { train_sums(link, at_client, sum); });
    recording.from_client = *link.written();
    ScriptLink back{recording.from_client};
    sum = 0;
    reason_of([&] { serve_sums(back, at_server, sum); });
    recording.from_server = *back.written();
  }
  return recording;
}

/// Why a side gives up when these bytes come; `sum` is its state then.
std::optional<Reason> server_ends(const std::vector<std::byte>& bytes, std::uint64_t& sum,
                                  std::size_t piece = 1 << 20) {
  ScriptLink link{bytes, piece};
  SessionState state;
  sum = 0;
  const auto reason = reason_of([&] { serve_sums(link, state, sum); });
  REQUIRE(sum == 5 * state.steps.last() * (state.steps.last() + 1));  // only whole steps
  return reason;
}
std::optional<Reason> client_ends(const std::vector<std::byte>& bytes, std::uint64_t& sum,
                                  std::size_t piece = 1 << 20) {
  ScriptLink link{bytes, piece};
  SessionState state{.id = {5, 6}};
  sum = 0;
  const auto reason = reason_of([&] { train_sums(link, state, sum); });
  REQUIRE(sum == 5 * state.steps.last() * (state.steps.last() + 1));
  return reason;
}

/// The frames of a client that keeps to no rules.
class Forger {
 public:
  explicit Forger(std::uint32_t connection) { writer_.begin(connection, message_ceiling); }

  std::vector<std::byte> message(MessageKind kind, Bytes payload = {}) {
    writer_.queue(kind, std::array{payload});
    return drain(writer_);
  }
  std::vector<std::byte> numbered(MessageKind kind, StepNumber at) {
    writer_.queue(kind, at, {});
    return drain(writer_);
  }

 private:
  Outbox writer_;
};

/// Forward messages with these numbers, each step committed at once: how the server ends, and
/// after how many steps.
std::pair<std::optional<Reason>, std::uint64_t> outcome_of(const std::vector<StepNumber>& steps) {
  Peers peers;
  peers.connect();
  Forger forger{1};
  const auto reason = reason_of([&] {
    for (const StepNumber at : steps) {
      feed(*peers.server, forger.numbered(MessageKind::forward, at), peers.now,
           [&](const Event&) { peers.answer(); });
      CHECK_FALSE(drain(*peers.server).empty());
    }
  });
  return {reason, peers.at_server.steps.last()};
}

}  // namespace

TEST_CASE("Session: both sides agree, the smaller limit and heartbeat hold", "[wire]") {
  Peers peers{.client_options = {.largest_message = 9000, .heartbeat = 5s},
              .server_options = {.largest_message = 5000, .heartbeat = 3s}};
  peers.at_client.client = 7;
  peers.connect();
  for (const Session* side : {&*peers.client, &*peers.server}) {
    CHECK(side->is_open());
    CHECK(side->agreed().largest_message == 5000);
    CHECK(side->agreed().heartbeat_ms == 3000);
  }
  for (const SessionState* state : {&peers.at_client, &peers.at_server}) {
    CHECK(state->connection == 1);
    CHECK(state->client == 7);
    CHECK(state->id != SessionId{});
  }
  CHECK(peers.at_client.id == peers.at_server.id);
  const auto fits = random_bytes(5000 - 12), too_long = random_bytes(5000 - 11);
  CHECK(reason_of<WireError>([&] { peers.ask(too_long); }) == Reason::too_long);
  CHECK(peers.client->output().empty());
  CHECK(peers.client->next() == StepNumber{1});
  peers.ask(fits);  // what was not sent does not bind
  peers.up([&](const Event& event) { CHECK(std::ranges::equal(event.payload, fits)); });
}

TEST_CASE("Session: a refusal reaches both sides with the same words", "[wire]") {
  const std::vector<Refusal> refusals{{"cut", "2", "3"},
                                      Refusal::busy("serving 1 of 1"),
                                      {std::string(70, 'k'), "\x1b", std::string(2000, 'v')}};
  for (const Refusal& refusal : refusals) {
    Peers peers;
    peers.begin();
    CHECK_FALSE(peers.server->has_hello());
    peers.say_hello();
    CHECK(peers.server->has_hello());
    std::string at_server, at_client;
    CHECK(reason_of<WireError>([&] { peers.server->refuse(refusal); }, &at_server) ==
          refusal.reason());
    CHECK_FALSE(peers.server->has_hello());
    CHECK(reason_of<WireError>([&] { peers.down(); }, &at_client) == refusal.reason());
    CHECK(at_client == at_server);
    CHECK(peers.server->is_over());
    CHECK(peers.client->is_over());
  }
}

TEST_CASE("Session: a client of another version is refused", "[wire]") {
  Peers peers{.client_options = {.versions = {2, 3}}};
  peers.begin();
  std::string at_server, at_client;
  CHECK(reason_of<WireError>([&] { peers.say_hello(); }, &at_server) == Reason::refused);
  CHECK(reason_of<WireError>([&] { peers.down(); }, &at_client) == Reason::refused);
  CHECK(at_client ==
        "handshake refused: protocol version: the client has 2 to 3, the server has 1 to 1");
  CHECK(at_client == at_server);
}

TEST_CASE("Session: a recorded exchange, cut at every byte", "[wire]") {
  const RecordedSums recording = record_sums();
  std::uint64_t sum = 0;
  REQUIRE(server_ends(recording.from_client, sum) == std::nullopt);
  REQUIRE(sum == 60);
  REQUIRE(client_ends(recording.from_server, sum) == std::nullopt);
  REQUIRE(sum == 60);
  for (const std::size_t piece : {1u, 1000u}) {
    for (std::size_t cut = 0; cut < recording.from_client.size(); ++cut) {
      const auto bytes = recording.from_client.begin();
      REQUIRE(server_ends({bytes, bytes + static_cast<std::ptrdiff_t>(cut)}, sum, piece) ==
              Reason::closed);
    }
    for (std::size_t cut = 0; cut < recording.from_server.size(); ++cut) {
      const auto bytes = recording.from_server.begin();
      REQUIRE(client_ends({bytes, bytes + static_cast<std::ptrdiff_t>(cut)}, sum, piece) ==
              Reason::closed);
    }
  }
}

TEST_CASE("Session: a recorded exchange with any bit flipped", "[wire]") {
  const RecordedSums recording = record_sums();
  std::uint64_t sum = 0;
  for (const bool at_server : {true, false}) {
    const auto& good = at_server ? recording.from_client : recording.from_server;
    for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
      auto bad = good;
      bad[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
      const auto reason = at_server ? server_ends(bad, sum) : client_ends(bad, sum);
      REQUIRE((reason == Reason::bad_checksum || reason == Reason::bad_magic));
    }
  }
}

TEST_CASE("Session: anything but hello is refused before admission", "[wire]") {
  for (std::size_t number = 1; number < message_kinds; ++number) {
    const auto kind = static_cast<MessageKind>(number);
    if (kind == MessageKind::hello || kind == MessageKind::error) continue;
    auto server = Session::server({}, {});
    const auto frame = Forger{0}.message(kind);
    CHECK(reason_of<WireError>([&] { feed(server, frame, {}); }) == Reason::wrong_message);
  }
}

TEST_CASE("Session: messages that the other role must not send now", "[wire]") {
  using enum MessageKind;
  const auto at_server = [](MessageKind kind) {
    Peers peers;
    peers.connect();
    return reason_of([&] { feed(*peers.server, Forger{1}.numbered(kind, {1}), peers.now); });
  };
  const auto at_client = [](MessageKind kind) {
    Peers peers;
    peers.connect();
    return reason_of([&] { feed(*peers.client, Forger{1}.numbered(kind, {1}), peers.now); });
  };
  for (const MessageKind kind : {hello, welcome, refuse, backward, evaluated})
    CHECK(at_server(kind) == Reason::wrong_message);
  for (const MessageKind kind : {hello, welcome, refuse, forward, evaluate, fetch_weights})
    CHECK(at_client(kind) == Reason::wrong_message);
  for (const MessageKind kind : {forward, evaluate, fetch_weights, weights, bye, checkpoint})
    CHECK(at_server(kind) == std::nullopt);
  for (const MessageKind kind : {evaluated, weights, bye, checkpoint})
    CHECK(at_client(kind) == std::nullopt);
  CHECK(at_client(backward) == Reason::wrong_step);  // nothing was asked

  Peers peers;
  peers.begin();
  CHECK(reason_of([&] { feed(*peers.client, Forger{0}.message(weights), {}); }) ==
        Reason::wrong_message);
  peers.connect();
  Forger forger{1};
  feed(*peers.server, forger.message(bye), {});
  CHECK(peers.server->is_over());
  std::string text;
  CHECK(reason_of([&] { feed(*peers.server, forger.message(weights), {}); }, &text) ==
        Reason::wrong_message);
  CHECK(text == "weights must not come after the end");
}

TEST_CASE("Session: steps out of order are refused, the last one is answered again", "[wire]") {
  using Outcome = std::pair<std::optional<Reason>, std::uint64_t>;
  CHECK(outcome_of({{1}, {2}, {3}}) == Outcome{std::nullopt, 3});
  CHECK(outcome_of({{1}, {1}, {2}, {2}, {2}}) == Outcome{std::nullopt, 2});
  CHECK(outcome_of({{0}}) == Outcome{Reason::wrong_step, 0});
  CHECK(outcome_of({{2}}) == Outcome{Reason::wrong_step, 0});
  CHECK(outcome_of({{1, 1}}) == Outcome{Reason::wrong_step, 0});
  CHECK(outcome_of({{1}, {2}, {1}}) == Outcome{Reason::wrong_step, 2});
  CHECK(outcome_of({{1}, {3}}) == Outcome{Reason::wrong_step, 1});
  CHECK(outcome_of({{1}, {1, 1}}) == Outcome{Reason::wrong_step, 1});
  CHECK(outcome_of({{1}, {~std::uint64_t{0}, ~std::uint32_t{0}}}) ==
        Outcome{Reason::wrong_step, 1});
}

TEST_CASE("Session: a client that does not wait for its replies", "[wire]") {
  // The cache keeps the replies of two steps; a queue that still borrows them must not see
  // them change.
  Peers peers;
  peers.connect();
  Forger forger{1};
  const auto reply = random_bytes(10'000);
  const auto forward = [&](std::uint64_t step) {
    return reason_of([&] {
      feed(*peers.server, forger.numbered(MessageKind::forward, {step}), peers.now,
           [&](const Event&) { peers.answer(reply); });
    });
  };
  CHECK(forward(1) == std::nullopt);
  CHECK(forward(2) == std::nullopt);
  CHECK(forward(3) == Reason::wrong_message);

  peers.at_client.steps.restart(1);
  peers.connect();  // a repeated reply is borrowed, too
  forger = Forger{2};
  CHECK(forward(2) == std::nullopt);
  CHECK(forward(3) == std::nullopt);
  CHECK(forward(4) == Reason::wrong_message);

  peers.at_client.steps.restart(2);
  peers.connect();
  forger = Forger{3};
  for (std::uint64_t step = 3; step < 9; ++step) {
    CHECK(forward(step) == std::nullopt);
    drain(*peers.server);
  }

  // And it must not ask again before it is answered.
  feed(*peers.server, forger.numbered(MessageKind::forward, {9}), peers.now);
  CHECK(reason_of([&] {
          feed(*peers.server, forger.numbered(MessageKind::forward, {9}), peers.now);
        }) == Reason::wrong_message);
}

TEST_CASE("Session: a reply that was lost is sent again, and nothing is computed", "[wire]") {
  Peers peers;
  peers.connect();
  peers.step();
  peers.ask(bytes_of("batch"));
  peers.up();
  peers.answer(bytes_of("gradient"));
  peers.connect();  // the reply was lost
  CHECK(peers.client->agreed().last_step == 2);
  CHECK(peers.client->next() == StepNumber{2});
  peers.ask(bytes_of("batch"));
  peers.up([](const Event&) { FAIL("computed twice"); });
  int replies = 0;
  peers.down([&](const Event& event) {
    CHECK(event.at == StepNumber{2});
    CHECK(std::ranges::equal(event.payload, bytes_of("gradient")));
    ++replies;
  });
  CHECK(replies == 1);
  peers.client->commit();
  CHECK(peers.at_client.steps.last() == 2);
  CHECK(peers.at_server.steps.last() == 2);
  peers.step();
  for (const auto& [sent, received] :
       {std::pair{&peers.at_client.sent, &peers.at_server.received},
        std::pair{&peers.at_server.sent, &peers.at_client.received}}) {
    CHECK(sent->of(MessageKind::hello).messages + sent->of(MessageKind::welcome).messages == 1);
    CHECK(sent->of(MessageKind::forward).messages + sent->of(MessageKind::backward).messages == 3);
    CHECK(sent->repeats().messages == 2);  // handshake and step
    CHECK(received->repeats().messages <= 2);
  }
  CHECK(peers.at_server.received.of(MessageKind::forward) ==
        peers.at_client.sent.of(MessageKind::forward));
  CHECK(peers.at_client.received.of(MessageKind::backward) ==
        peers.at_server.sent.of(MessageKind::backward));
}

TEST_CASE("Session: a step of several parts, cut in the middle, begins again", "[wire]") {
  Peers peers;
  const auto part = [&](const char* contents) {
    peers.ask(bytes_of(contents));
    peers.up();
    peers.server->new_reply() = bytes_of(contents);
    peers.server->reply();
    peers.down();
  };
  peers.connect();
  part("a");
  part("b");
  CHECK(peers.client->next() == StepNumber{1, 2});
  CHECK(peers.server->next() == StepNumber{1, 2});
  peers.ask(bytes_of("c"));
  peers.up();
  peers.server->new_reply() = bytes_of("half a rep");
  peers.connect();
  CHECK(peers.client->next() == StepNumber{1, 0});
  CHECK(peers.server->next() == StepNumber{1, 0});
  part("a");
  part("b");
  part("c");
  peers.ask(bytes_of("d"));
  peers.up();
  peers.answer(bytes_of("d"));
  peers.down();
  peers.client->commit();
  CHECK(peers.at_server.steps.last() == 1);
  CHECK(peers.at_client.steps.last() == 1);
  // Each part counts once, on both sides, and the repeats are known as such.
  CHECK(peers.at_client.sent.of(MessageKind::forward).messages == 4);
  CHECK(peers.at_server.received.of(MessageKind::forward).messages == 4);
  CHECK(peers.at_server.sent.of(MessageKind::backward).messages == 4);
  CHECK(peers.at_client.received.of(MessageKind::backward).messages == 4);
  CHECK(peers.at_client.sent.repeats().messages == 1 + 3);
  CHECK(peers.at_server.sent.repeats().messages == 1 + 2);
}

TEST_CASE("Session: a newer connection takes over, the older one is over", "[wire]") {
  Peers peers;
  peers.connect();
  peers.step();
  auto old_client = *std::exchange(peers.client, std::nullopt);
  auto old_server = *std::exchange(peers.server, std::nullopt);
  old_client.send_step({});
  const auto in_flight = drain(old_client);
  feed(old_server, in_flight, peers.now);
  old_server.new_reply() = bytes_of("of the old connection");
  peers.connect();
  CHECK(reason_of([&] { old_server.prepare(); }) == Reason::superseded);
  CHECK(reason_of([&] { old_server.commit(); }) == Reason::superseded);
  CHECK(reason_of([&] { old_server.new_reply(); }) == Reason::superseded);
  CHECK(reason_of([&] { old_server.send(MessageKind::bye); }) == Reason::superseded);
  CHECK(reason_of([&] { old_client.send_step({}); }) == Reason::superseded);
  std::string text;
  CHECK(reason_of([&] { old_server.tick(peers.now); }, &text) == Reason::superseded);
  CHECK(text == "connection 1 of this session is over: connection 2 has taken its place");
  CHECK(reason_of([&] {
          feed(old_server, Forger{1}.message(MessageKind::bye), peers.now);
        }).has_value());
  old_server.fail(WireError(Reason::superseded, text));
  CHECK(old_server.output().empty());
  CHECK(peers.at_server.steps.last() == 1);

  // Bytes of the old connection are not believed in the new one.
  CHECK(reason_of([&] { feed(*peers.server, in_flight, peers.now); }) == Reason::wrong_step);
  peers.connect();
  CHECK(peers.at_server.connection == 3);
  peers.step();
}

TEST_CASE("Session: a first connection that fails before the welcome", "[wire]") {
  Peers peers;
  peers.at_client.id = {1, 2};
  peers.begin();
  peers.say_hello();
  peers.server->admit(peers.at_server);  // the welcome is lost
  CHECK(peers.at_server.connection == 1);
  CHECK(peers.at_client.connection == 0);
  peers.connect();
  CHECK(peers.at_client.connection == 2);
  CHECK(peers.at_client.sent.of(MessageKind::hello).messages == 1);
  CHECK(peers.at_client.sent.repeats().messages == 1);
  CHECK(peers.at_client.received.of(MessageKind::welcome).messages == 1);
  CHECK(peers.at_server.received.of(MessageKind::hello).messages == 1);
  peers.step();
}

TEST_CASE("Session: a server that has forgotten the session", "[wire]") {
  Peers peers;
  peers.connect();
  peers.connect();
  const SessionId id = peers.at_client.id;
  peers.at_server = {};  // before the first step: it can begin again
  peers.connect();
  CHECK(peers.at_server.id == id);
  CHECK(peers.at_client.connection == 3);  // although the server counts from 1
  peers.step();
  peers.at_server = {};  // after it
  peers.begin();
  peers.say_hello();
  CHECK(peers.server->hello().session == id);
  CHECK(peers.server->hello().last_step == 1);
  std::string at_server, at_client;
  CHECK(reason_of([&] { peers.server->admit(peers.at_server); }, &at_server) == Reason::refused);
  CHECK(reason_of([&] { peers.down(); }, &at_client) == Reason::refused);
  CHECK(at_client == "handshake refused: last step: the client has 1, the server has 0");
  CHECK(at_client == at_server);
  CHECK(peers.at_server.connection == 0);  // untouched
  CHECK(peers.at_server.id == SessionId{});
}

TEST_CASE("Session: both sides must be at the same step, or know a way there", "[wire]") {
  const auto admits = [](std::uint64_t client, std::uint64_t server, bool reply_is_there,
                         std::vector<std::uint64_t> at_client = {},
                         std::vector<std::uint64_t> at_server = {}) {
    Peers peers{.client_generations = std::move(at_client),
                .server_generations = std::move(at_server)};
    peers.at_client.steps.restart(client);
    peers.at_server.steps.restart(server - (reply_is_there ? 1 : 0));
    if (reply_is_there) {
      peers.at_server.steps.new_reply();
      peers.at_server.steps.keep();
      peers.at_server.steps.commit();
    }
    return reason_of([&] { peers.connect(); });
  };
  CHECK(admits(5, 5, false) == std::nullopt);
  CHECK(admits(5, 6, true) == std::nullopt);
  CHECK(admits(5, 6, false) == Reason::refused);  // nobody knows the reply
  CHECK(admits(5, 7, true) == Reason::refused);
  CHECK(admits(5, 4, true) == Reason::refused);
  CHECK(admits(~std::uint64_t{0}, 0, false) == Reason::refused);
  // The server has gone back to the newest checkpoint that both have; so must the client.
  CHECK(admits(5, 4, false, {2, 4}, {2, 4}) == std::nullopt);
  CHECK(admits(9, 4, false, {4, 2, 8}, {2, 4}) == std::nullopt);
  CHECK(admits(9, 4, false, {2, 8}, {2, 4}) == Reason::refused);
  CHECK(admits(9, 4, false, {4, 8}, {4, 8}) == Reason::refused);  // not the newest
}

TEST_CASE("Session: the state of another session is not mixed up", "[wire]") {
  Peers peers;
  peers.connect();
  peers.at_client.id = {8, 9};
  peers.begin();
  peers.say_hello();
  CHECK_THROWS_AS(peers.server->admit(peers.at_server), std::logic_error);
  CHECK(peers.at_server.connection == 1);
}

TEST_CASE("Session: a reply above the agreed limit changes nothing", "[wire]") {
  Peers peers{.server_options = {.largest_message = 5000}};
  peers.connect();
  peers.step();
  peers.ask();
  peers.up();
  peers.server->new_reply() = random_bytes(5000);
  CHECK(reason_of<WireError>([&] { peers.server->prepare(); }) == Reason::too_long);
  CHECK(reason_of<WireError>([&] { peers.server->commit(); }) == Reason::too_long);
  CHECK(peers.at_server.steps.last() == 1);
  CHECK(peers.server->next() == StepNumber{2});
  CHECK(peers.server->output().empty());
  peers.server->fail(WireError(Reason::too_long, "backward: too long"));
  std::string text;
  CHECK(reason_of([&] { peers.down(); }, &text) == Reason::peer_failed);
  CHECK_THAT(text, ContainsSubstring("backward: too long"));
  peers.connect();  // the step can be done again
  peers.step();
  CHECK(peers.at_server.steps.last() == 2);
}

TEST_CASE("Session: a step that fails between new_reply and commit is not applied", "[wire]") {
  Peers peers;
  peers.connect();
  peers.ask(bytes_of("batch"));
  peers.up();
  peers.server->new_reply() = bytes_of("half");
  const WireError failure(Reason::not_finite, "the loss is NaN");
  peers.server->fail(failure);
  CHECK(reason_of([&] { peers.down(); }) == Reason::peer_failed);
  peers.connect();
  CHECK(peers.at_server.steps.last() == 0);
  peers.ask(bytes_of("batch"));
  int computed = 0;
  peers.up([&](const Event& event) {
    CHECK(event.at == StepNumber{1});
    ++computed;
  });
  CHECK(computed == 1);
  CHECK_THROWS_AS(peers.server->commit(), std::logic_error);  // the half reply is forgotten
  peers.answer(bytes_of("whole"));
  peers.down(
      [](const Event& event) { CHECK(std::ranges::equal(event.payload, bytes_of("whole"))); });
  peers.client->commit();
}

TEST_CASE("Session: why a side gives up is told once", "[wire]") {
  Peers peers;
  peers.connect();
  peers.client->fail(WireError(Reason::malformed, "no"));
  peers.client->fail(WireError(Reason::malformed, "never"));
  std::string text;
  CHECK(reason_of([&] { peers.up(); }, &text) == Reason::peer_failed);
  CHECK(text == "the peer gave up: no");
  CHECK(peers.at_server.received.total() == peers.at_client.sent.total());
  peers.server->fail(WireError(Reason::peer_failed, text));  // the peer knows
  CHECK(peers.server->output().empty());
  // Before the handshake is over, too; but a client does not know its connection's number.
  peers.begin();
  peers.server->fail(WireError(Reason::refused, "busy"));
  CHECK(reason_of([&] { peers.down(); }, &text) == Reason::peer_failed);
  CHECK_THAT(text, ContainsSubstring("busy"));
  peers.begin();
  drain(*peers.client);
  peers.client->fail(WireError(Reason::malformed, "no"));
  CHECK(peers.client->output().empty());
  CHECK(peers.client->is_over());
}

TEST_CASE("Session: misuse", "[wire]") {
  Peers peers;
  peers.begin();
  CHECK_THROWS_AS(peers.client->send(MessageKind::evaluate), std::logic_error);
  CHECK_THROWS_AS(peers.client->send_step({}), std::logic_error);
  CHECK_THROWS_AS(peers.client->commit(), std::logic_error);
  CHECK_THROWS_AS(peers.server->admit(peers.at_server), std::logic_error);
  CHECK_THROWS_AS(peers.server->refuse({"a", "b", "c"}), std::logic_error);
  CHECK_THROWS_AS(peers.server->send(MessageKind::bye), std::logic_error);
  peers.connect();
  CHECK_THROWS_AS(peers.server->admit(peers.at_server), std::logic_error);
  CHECK_THROWS_AS(peers.server->send_step({}), std::logic_error);
  CHECK_THROWS_AS(peers.server->new_reply(), std::logic_error);
  CHECK_THROWS_AS(peers.server->prepare(), std::logic_error);
  CHECK_THROWS_AS(peers.server->commit(), std::logic_error);
  CHECK_THROWS_AS(peers.client->reply(), std::logic_error);
  CHECK_THROWS_AS(peers.client->send(MessageKind::forward), std::logic_error);
  CHECK_THROWS_AS(peers.client->commit(), std::logic_error);  // nothing is sent
  peers.ask(bytes_of("one"));
  CHECK_THROWS_AS(peers.client->commit(), std::logic_error);  // nothing is answered
  CHECK_THROWS_AS(peers.client->prepare(), std::logic_error);
  peers.up();
  CHECK_THROWS_AS(peers.server->commit(), std::logic_error);  // there is no reply
  peers.answer();
  CHECK_THROWS_AS(peers.server->commit(), std::logic_error);  // it is committed
  peers.connect();
  CHECK_THROWS_AS(peers.ask(bytes_of("other")), std::logic_error);  // the same step
  CHECK(peers.client->output().empty());
  peers.ask(bytes_of("one"));
  peers.up();
  peers.down();
  peers.client->prepare();
  peers.client->commit();
  peers.ask(bytes_of("other"));  // another step
  peers.client->send(MessageKind::bye);
  CHECK(reason_of<TransportError>([&] { peers.ask(); }) == Reason::closed);
  CHECK(peers.client->wake_at() == Time::max());
  CHECK_THROWS_AS(Session::client(peers.at_client, {{"", ""}}, {}, {}), std::invalid_argument);
  CHECK_THROWS_AS(Session::client(peers.at_client, {}, {.largest_message = 1}, {}),
                  std::invalid_argument);
}

// --- in virtual time

TEST_CASE("Session: the handshake has one deadline, however the bytes come", "[wire]") {
  Peers peers;
  peers.begin();
  CHECK(peers.client->wake_at() == peers.now + 10s);
  CHECK(peers.server->wake_at() == peers.now + 10s);
  for (const std::byte b : drain(*peers.client).empty() ? bytes_of("") : bytes_of("S")) {
    peers.pass(9s);
    feed(*peers.server, std::span{&b, 1}, peers.now);
    peers.server->listen(peers.now);
  }
  peers.server->tick(peers.now);
  peers.pass(1s);
  std::string text;
  CHECK(reason_of<TransportError>([&] { peers.server->tick(peers.now); }, &text) ==
        Reason::timed_out);
  CHECK(text == "handshake: the peer was silent for 10.0 s");
  CHECK(reason_of<TransportError>([&] { peers.client->tick(peers.now); }) == Reason::timed_out);
  CHECK(peers.server->is_over());
  CHECK(peers.server->wake_at() == Time::max());
}

TEST_CASE("Session: without heartbeats a peer may be silent for the step timeout", "[wire]") {
  Peers peers{.client_options = {.heartbeat = 1s, .step_timeout = 60s},
              .server_options = {.heartbeat = 0s}};
  peers.connect();
  peers.pass(59s);
  CHECK_NOTHROW(peers.client->tick(peers.now));
  CHECK(peers.client->output().empty());
  peers.client->listen(peers.now);
  CHECK(peers.client->wake_at() == peers.now + 60s);
  peers.pass(60s);
  std::string text;
  CHECK(reason_of<TransportError>([&] { peers.client->tick(peers.now); }, &text) ==
        Reason::timed_out);
  CHECK(text == "waiting for step 1 to go on: the peer was silent for 60.0 s");
  Peers patient{
      .client_options = {.heartbeat = 0s, .step_timeout = std::chrono::nanoseconds::max()}};
  patient.now = Time{} + 1h;
  patient.connect();
  CHECK(patient.client->wake_at() == Time::max());
  CHECK(patient.server->wake_at() == patient.now + 10min);  // none was given
}

TEST_CASE("Session: with heartbeats a peer that lives has the step timeout to answer", "[wire]") {
  Peers peers{.client_options = {.step_timeout = 12s}};
  peers.connect();
  peers.ask();
  peers.up();
  const Time start = peers.now;
  std::optional<Reason> reason;
  std::string text;
  while (!reason) {
    peers.now = std::min(peers.client->wake_at(), peers.server->wake_at());
    peers.server->tick(peers.now);
    reason = reason_of<TransportError>([&] { peers.client->tick(peers.now); }, &text);
    if (reason) break;
    peers.up();
    peers.down();
  }
  CHECK(reason == Reason::timed_out);
  CHECK(peers.now == start + 12s);
  CHECK(text == "waiting for step 1 to go on: only heartbeats came for 12.0 s");
}

TEST_CASE("Session: a frame that dribbles ends the session after half a minute", "[wire]") {
  // The peer sends heartbeats before it begins, and then a byte a second.
  Peers peers;
  peers.connect();
  peers.ask(random_bytes(100));
  const std::vector<std::byte> frame = drain(*peers.client, peers.now);
  const Time start = peers.now;
  std::optional<Reason> reason;
  std::string text;
  for (std::size_t at = 0; at < frame.size() && !reason; ++at) {
    feed(*peers.server, Bytes{frame}.subspan(at, 1), peers.now);
    CHECK(peers.server->wake_at() <= start + 30s);
    peers.pass(1s);
    reason = reason_of<TransportError>([&] { peers.server->tick(peers.now); }, &text);
    drain(*peers.server, peers.now);
  }
  CHECK(reason == Reason::timed_out);
  CHECK(peers.now == start + 30s);
  CHECK(text == "waiting for step 1 to go on: a frame came slower than 1 KiB/s");
}

TEST_CASE("Session: a slow link is not taken for one that dribbles", "[wire]") {
  Peers peers;
  peers.connect();
  const auto contents = random_bytes(300'000);
  peers.ask(contents);
  const std::vector<std::byte> stream = drain(*peers.client, peers.now);
  int events = 0;
  for (std::size_t at = 0; at < stream.size(); at += 1100) {
    feed(*peers.server, Bytes{stream}.subspan(at, std::min<std::size_t>(1100, stream.size() - at)),
         peers.now, [&](const Event&) { ++events; });
    peers.pass(1s);
    REQUIRE_NOTHROW(peers.server->tick(peers.now));
    drain(*peers.server, peers.now);
  }
  CHECK(events == 1);
}

TEST_CASE("Session: a peer without heartbeats is dead after two of them and a second", "[wire]") {
  Peers peers{.client_options = {.heartbeat = 5s}, .server_options = {.heartbeat = 5s}};
  peers.connect();
  const Time start = peers.now;
  std::optional<Reason> reason;
  while (!reason) {
    const Time wake = peers.client->wake_at();
    REQUIRE(wake > peers.now);  // no busy waiting
    peers.now = wake;
    reason = reason_of<TransportError>([&] { peers.client->tick(peers.now); });
    drain(*peers.client, peers.now);
  }
  CHECK(reason == Reason::timed_out);
  CHECK(peers.now == start + 11s);
  CHECK(peers.at_client.sent.of(MessageKind::heartbeat).messages == 2);
}

TEST_CASE("Session: long computing is not taken for death", "[wire]") {
  Peers peers{.client_options = {.heartbeat = 5s}, .server_options = {.heartbeat = 5s}};
  peers.connect();
  peers.ask();
  peers.up();
  for (const Time end = peers.now + 1h; peers.now < end;) {  // the server computes
    peers.now = std::min(peers.client->wake_at(), peers.server->wake_at());
    peers.client->tick(peers.now);
    peers.server->tick(peers.now);
    peers.up([](const Event&) { FAIL("a heartbeat is no message"); });
    peers.down([](const Event&) { FAIL("a heartbeat is no message"); });
  }
  peers.answer();
  peers.down();
  peers.client->commit();
  CHECK(peers.at_client.received.of(MessageKind::heartbeat).messages >= 700);
  CHECK(peers.at_server.received.total() == peers.at_client.sent.total());
}

TEST_CASE("Session: no heartbeat while output waits, none before the session is open", "[wire]") {
  Peers peers{.client_options = {.heartbeat = 5s}, .server_options = {.heartbeat = 5s}};
  peers.begin();
  peers.pass(6s);
  peers.client->tick(peers.now);
  CHECK(peers.at_client.sent.of(MessageKind::heartbeat).messages == 0);
  peers.connect();
  peers.ask(random_bytes(100));
  const std::size_t waiting = peers.client->output().size();
  peers.pass(6s);
  CHECK(peers.client->wake_at() > peers.now);  // nothing to do meanwhile
  peers.client->tick(peers.now);
  CHECK(peers.client->output().size() == waiting);
  drain(*peers.client, peers.now);
  peers.client->tick(peers.now);  // bytes have just gone
  CHECK(peers.client->output().empty());
  peers.client->listen(peers.now);
  peers.pass(5s);
  peers.client->tick(peers.now);
  CHECK(peers.client->output().size() == frame_header_bytes);
}

TEST_CASE("Session: a heartbeat between the frames of a large message", "[wire]") {
  Peers peers{.client_options = {.heartbeat = 5s}, .server_options = {.heartbeat = 5s}};
  peers.connect();
  // The client writes heartbeats between frames by itself only if the queue was empty, so the
  // frames are made by hand.
  const auto contents = random_bytes(2 * largest_frame - 12 + 5);
  std::vector<std::byte> payload;
  ByteWriter out{payload};
  out.put(std::uint64_t{1});
  out.put(std::uint32_t{0});
  out.put_bytes(contents);
  std::vector<std::byte> stream;
  std::uint64_t sequence = 0;
  for (std::size_t at = 0; at < payload.size(); at += largest_frame) {
    const auto piece = Bytes{payload}.subspan(at, std::min(largest_frame, payload.size() - at));
    put_header(stream, {.kind = MessageKind::forward,
                        .continues = at + piece.size() < payload.size(),
                        .length = static_cast<std::uint32_t>(piece.size()),
                        .connection = 1,
                        .sequence = sequence++,
                        .payload_crc = crc32c(piece)});
    stream.insert(stream.end(), piece.begin(), piece.end());
    put_header(stream, {.kind = MessageKind::heartbeat, .connection = 1, .sequence = sequence++});
  }
  int events = 0;
  feed(*peers.server, stream, peers.now, [&](const Event& event) {
    CHECK(std::ranges::equal(event.payload, contents));
    ++events;
  });
  CHECK(events == 1);
  CHECK(peers.at_server.received.of(MessageKind::heartbeat).messages == 3);
  CHECK(peers.at_server.received.of(MessageKind::forward) ==
        Count{.messages = 1, .payload = payload.size(), .framed = payload.size() + 3 * 32});
}

TEST_CASE("Session: a step that is dropped on both sides may come with other contents", "[wire]") {
  Peers peers;
  peers.connect();
  peers.ask(bytes_of("first part"));
  peers.up();
  peers.answer(bytes_of("its answer"));
  peers.down();
  peers.client->commit();

  peers.ask(bytes_of("dropped"));
  peers.up();
  peers.server->drop_step();
  peers.client->drop_step();
  CHECK(peers.client->next() == StepNumber{2, 0});
  CHECK(peers.server->next() == StepNumber{2, 0});
  CHECK_THROWS_AS(peers.server->new_reply(), std::logic_error);  // nothing waits for one
  CHECK_THROWS_AS(peers.client->commit(), std::logic_error);

  peers.ask(bytes_of("other contents"));
  peers.up();
  peers.answer(bytes_of("its answer"));
  peers.down();
  peers.client->commit();
  CHECK(peers.at_client.steps.last() == 2);
  CHECK(peers.at_server.steps.last() == 2);
  CHECK(peers.at_client.sent.of(MessageKind::forward).messages == 3);
  CHECK(peers.at_client.sent.total() == peers.at_server.received.total());

  // The last step can still be answered again, and it must have the same contents.
  peers.at_client.steps.restart(1);
  peers.connect();
  CHECK_THROWS_AS(peers.ask(bytes_of("third contents")), std::logic_error);
}
