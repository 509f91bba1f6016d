// SPDX-License-Identifier: MIT
#include <splitvit/wire/admission.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using namespace std::chrono_literals;
using test::reason_of;

namespace {

/// A server that has applied `last` steps, with the reply to the last one or without.
SessionState server_at(std::uint64_t last, bool has_reply = false) {
  SessionState state;
  state.steps.restart(last - (has_reply ? 1 : 0));
  if (has_reply) {
    state.steps.new_reply();
    state.steps.keep();
    state.steps.commit();
  }
  return state;
}

using Steps = std::vector<std::uint64_t>;

WelcomeOrRefusal decide(const Hello& hello, const SessionState& state, const Steps& steps = {}) {
  return decide_admission(hello, state, steps, {});
}

}  // namespace

TEST_CASE("admission: a client says what it has and what it wants", "[wire]") {
  SessionState state{.id = {5, 6}, .client = 7, .connection = 3};
  state.steps.restart(9);
  const Hello hello =
      hello_of(state, {{"cut", "2"}},
               {.largest_message = 9000, .heartbeat = 5s, .versions = {1, 2}}, {4, 8});
  CHECK(hello.versions == Versions{1, 2});
  CHECK(hello.largest_message == 9000);
  CHECK(hello.heartbeat_ms == 5000);
  CHECK(hello.session == SessionId{5, 6});
  CHECK(hello.connection == 3);
  CHECK(hello.client == 7);
  CHECK(hello.last_step == 9);
  CHECK(hello.generations == Steps{4, 8});
  CHECK(hello.settings == Settings{{"cut", "2"}});
}

TEST_CASE("admission: the smaller limit, heartbeat and version hold", "[wire]") {
  const SessionOptions options{.largest_message = 5000, .heartbeat = 5s, .versions = {1, 2}};
  const Welcome modest =
      decide_admission({.versions = {1, 1}, .largest_message = 9000, .heartbeat_ms = 3000}, {}, {},
                       options)
          .welcome;
  CHECK(modest.version == 1);
  CHECK(modest.largest_message == 5000);
  CHECK(modest.heartbeat_ms == 3000);
  const Welcome other =
      decide_admission({.versions = {2, 3}, .largest_message = 4096, .heartbeat_ms = 9000}, {}, {},
                       options)
          .welcome;
  CHECK(other.version == 2);
  CHECK(other.largest_message == 4096);
  CHECK(other.heartbeat_ms == 5000);
}

TEST_CASE("admission: the id of a session is the one that a side knows, or a new one", "[wire]") {
  const SessionId known{5, 6};
  CHECK(decide({.session = known}, {}).welcome.session == known);
  CHECK(decide({}, {.id = known}).welcome.session == known);
  CHECK(decide({.session = known}, {.id = known}).welcome.session == known);
  const SessionId drawn = decide({}, {}).welcome.session;
  CHECK(drawn != SessionId{});
  CHECK(decide({}, {}).welcome.session != drawn);
  CHECK_THROWS_AS(decide({.session = {8, 9}}, {.id = known}), std::logic_error);
}

TEST_CASE("admission: a connection gets a number above all earlier ones", "[wire]") {
  CHECK(decide({}, {}).welcome.connection == 1);
  CHECK(decide({.connection = 4}, {.connection = 2}).welcome.connection == 5);
  CHECK(decide({.connection = 2}, {.connection = 4}).welcome.connection == 5);
  const WelcomeOrRefusal last = decide({.connection = 4}, {.connection = ~std::uint32_t{0}});
  REQUIRE(last.refusal);
  CHECK(last.refusal->text() ==
        "handshake refused: connection: the client has 4, the server has 4294967295");
}

TEST_CASE("admission: both sides must be at the same step, or know a way there", "[wire]") {
  const auto admits = [](std::uint64_t client, const SessionState& server, Steps at_client = {},
                         const Steps& at_server = {}) {
    const Hello hello{.last_step = client, .generations = std::move(at_client)};
    return !decide(hello, server, at_server).refusal;
  };
  CHECK(admits(0, server_at(0)));
  CHECK(admits(5, server_at(5)));
  CHECK(admits(5, server_at(6, true)));
  CHECK_FALSE(admits(5, server_at(6)));  // nobody knows the reply
  CHECK_FALSE(admits(5, server_at(7, true)));
  CHECK_FALSE(admits(5, server_at(4, true)));
  CHECK_FALSE(admits(~std::uint64_t{0}, server_at(0)));
  CHECK(admits(9, server_at(4), {4, 2, 8}, {2, 4}));
  CHECK_FALSE(admits(9, server_at(4), {2, 8}, {2, 4}));
  CHECK_FALSE(admits(9, server_at(4), {4, 8}, {4, 8}));  // not the newest
  CHECK(decide({.last_step = 1}, server_at(0)).refusal->text() ==
        "handshake refused: last step: the client has 1, the server has 0");
}

TEST_CASE("admission: the newest common checkpoint is named", "[wire]") {
  const auto common = [](Steps at_client, const Steps& at_server) {
    return decide({.last_step = 9, .generations = std::move(at_client)}, server_at(9), at_server)
        .welcome.generation;
  };
  CHECK(common({}, {}) == std::nullopt);
  CHECK(common({2, 6}, {4, 8}) == std::nullopt);
  CHECK(common({8, 2, 4}, {4, 2, 6}) == 4);
  CHECK(common({0}, {0}) == 0);
}

TEST_CASE("admission: a client checks that it can go on from the welcome", "[wire]") {
  const auto accepts = [](const Welcome& welcome, std::uint64_t last) {
    return reason_of<WireError>([&] { check_welcome(welcome, last); }) == std::nullopt;
  };
  CHECK(accepts({.last_step = 5}, 5));
  CHECK(accepts({.last_step = 6}, 5));  // the reply was lost
  CHECK_FALSE(accepts({.last_step = 7}, 5));
  CHECK_FALSE(accepts({.last_step = 4}, 5));
  CHECK(accepts({.last_step = 4, .generation = 4}, 5));
  CHECK_FALSE(accepts({.last_step = 4, .generation = 2}, 5));
  std::string text;
  CHECK(reason_of<WireError>([&] { check_welcome({.last_step = 7}, 5); }, &text) ==
        Reason::wrong_step);
  CHECK(text == "welcome: the server has applied step 7, this side step 5");
}
