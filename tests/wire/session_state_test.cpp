// SPDX-License-Identifier: MIT
#include <concepts>
#include <map>

#include <splitvit/wire/session_state.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/peers.hpp"

using namespace splitvit;
using namespace splitvit::wire;

namespace {

/// A state after a checkpoint: written and read again.
SessionState stored_and_set_back(SessionState state) {
  std::map<std::string, std::uint64_t> numbers;
  std::map<std::string, std::vector<std::byte>> buffers;
  state.each_state([&]<class V>(const std::string& name, V& value) {
    bool is_new = false;
    if constexpr (std::same_as<V, std::uint64_t>)
      is_new = numbers.emplace(name, value).second;
    else
      is_new = buffers.emplace(name, value).second;
    CHECK(is_new);  // no name twice
  });
  SessionState back;
  back.each_state([&]<class V>(const std::string& name, V& value) {
    if constexpr (std::same_as<V, std::uint64_t>)
      value = numbers.at(name);
    else
      value = buffers.at(name);
  });
  return back;
}

}  // namespace

TEST_CASE("Tally: payload and framing are counted apart, by kind, repeats for themselves",
          "[wire]") {
  Tally tally;
  const Count one{.messages = 1, .payload = 100, .framed = 132};
  tally.add(MessageKind::forward, one);
  tally.add(MessageKind::forward, one);
  tally.add(MessageKind::forward, one, true);
  tally.add(MessageKind::hello, {.messages = 1, .payload = 0, .framed = 32}, true);
  CHECK(tally.of(MessageKind::forward) == Count{.messages = 2, .payload = 200, .framed = 264});
  CHECK(tally.of(MessageKind::hello) == Count{});
  CHECK(tally.repeats() == Count{.messages = 2, .payload = 100, .framed = 164});
  tally.add_once(MessageKind::bye, one);
  tally.add_once(MessageKind::bye, one);
  CHECK(tally.of(MessageKind::bye) == one);
  CHECK(tally.repeats() == Count{.messages = 3, .payload = 200, .framed = 296});
  CHECK(tally.total() == Count{.messages = 6, .payload = 500, .framed = 692});
}

TEST_CASE("Tally: its state is stored and set back", "[wire]") {
  Tally tally;
  std::uint64_t n = 1;
  for (std::size_t kind = 1; kind < message_kinds; ++kind, n += 3)
    tally.add(static_cast<MessageKind>(kind), {n, n + 1, n + 2}, false);
  tally.add(MessageKind::hello, {1000, 1001, 1002}, true);
  std::map<std::string, std::uint64_t> stored;
  tally.each_state("up.", [&](const std::string& name, std::uint64_t& value) {
    CHECK(stored.emplace(name, value).second);  // no name twice
  });
  CHECK(stored.at("up.forward.payload") == tally.of(MessageKind::forward).payload);
  Tally other;
  other.each_state("up.",
                   [&](const std::string& name, std::uint64_t& value) { value = stored.at(name); });
  CHECK(other.total() == tally.total());
  CHECK(other.repeats() == tally.repeats());
}

TEST_CASE("Tally: an earlier state counts what passed since as repeats", "[wire]") {
  const Count one{.messages = 1, .payload = 100, .framed = 132};
  Tally tally;
  tally.add(MessageKind::forward, one);
  const Tally earlier = tally;
  tally.add_once(MessageKind::hello, one);
  tally.add(MessageKind::forward, one);
  tally.add(MessageKind::forward, one, true);
  Tally back = earlier;
  back.add_repeats(tally, {MessageKind::hello});
  CHECK(back.of(MessageKind::forward) == one);
  CHECK(back.of(MessageKind::hello) == one);
  CHECK(back.repeats() == Count{.messages = 2, .payload = 200, .framed = 264});
  CHECK(back.total() == tally.total());
  back = earlier;
  back.add_repeats(tally, {});
  CHECK(back.of(MessageKind::hello) == Count{});
  CHECK(back.total() == tally.total());
}

TEST_CASE("digest_of: sees contents, not how they are cut", "[wire]") {
  const auto whole = test::bytes_of("batch"), begin = test::bytes_of("ba"),
             end = test::bytes_of("tch");
  const std::uint32_t digest = digest_of(std::array{Bytes{whole}});
  CHECK(digest_of(std::array{Bytes{begin}, Bytes{end}}) == digest);
  CHECK(digest_of(std::array{Bytes{end}, Bytes{begin}}) != digest);
}

TEST_CASE("SessionState: a checkpoint keeps all of it", "[wire]") {
  test::Peers peers;
  peers.at_client.client = 3;
  peers.connect();
  peers.step();
  peers.ask(test::bytes_of("batch"));
  peers.up();
  peers.answer(test::bytes_of("gradient"));  // the reply is lost, and both sides end

  peers.at_server.identity = "CN=alice";
  peers.at_client = stored_and_set_back(peers.at_client);
  peers.at_server = stored_and_set_back(peers.at_server);
  CHECK(peers.at_server.identity == "CN=alice");
  CHECK(peers.at_client.client == 3);
  CHECK(peers.at_client.id == peers.at_server.id);
  CHECK(peers.at_client.connection == 1);
  CHECK(peers.at_client.steps.last() == 1);
  CHECK(peers.at_server.steps.last() == 2);
  CHECK(peers.at_client.sent.of(MessageKind::forward).messages == 2);

  peers.connect();
  CHECK(peers.at_client.connection == 2);
  peers.ask(test::bytes_of("batch"));
  peers.up([](const Event&) { FAIL("computed twice"); });
  peers.down([](const Event& event) {
    CHECK(std::ranges::equal(event.payload, test::bytes_of("gradient")));
  });
  peers.client->commit();
  CHECK(peers.at_client.sent.of(MessageKind::forward).messages == 2);
  CHECK(peers.at_client.sent.repeats().messages == 2);
}

TEST_CASE("SessionState: a client that goes back counts its steps anew", "[wire]") {
  test::Peers peers;
  peers.connect();
  const SessionState client = stored_and_set_back(peers.at_client);
  const SessionState server = stored_and_set_back(peers.at_server);
  peers.step();
  peers.step();
  const Tally undisturbed = peers.at_client.sent;
  const auto go_on = [&] {
    peers.connect();
    peers.step();
    peers.step();
    CHECK(peers.at_client.sent.of(MessageKind::forward) == undisturbed.of(MessageKind::forward));
    CHECK(peers.at_client.sent.of(MessageKind::hello) == undisturbed.of(MessageKind::hello));
  };
  SECTION("in a new process") {
    peers.at_client = client;
    peers.at_server = server;
    go_on();
    CHECK(peers.at_client.connection == 2);
    CHECK(peers.at_client.sent.repeats().messages == 1);  // hello
  }
  SECTION("in the same process, over another connection") {
    peers.connect();
    peers.at_client.go_back_to(client);
    peers.at_server.go_back_to(server);
    CHECK(peers.at_client.connection == 2);
    go_on();
    CHECK(peers.at_client.connection == 3);
    CHECK(peers.at_client.sent.repeats().messages == 2 + 2);  // hello and forward, twice
  }
}

TEST_CASE("Count: counts that differ in one number are not equal", "[wire]") {
  const Count count{.messages = 1, .payload = 2, .framed = 3};
  CHECK(count != Count{.messages = 2, .payload = 2, .framed = 3});
  CHECK(count != Count{.messages = 1, .payload = 3, .framed = 3});
  CHECK(count != Count{.messages = 1, .payload = 2, .framed = 4});
}

TEST_CASE("count_of_message: as many frames as its payload needs, one at least", "[wire]") {
  CHECK(count_of_message(0) == Count{.messages = 1, .payload = 0, .framed = frame_header_bytes});
  CHECK(count_of_message(largest_frame) == Count{.messages = 1,
                                                 .payload = largest_frame,
                                                 .framed = largest_frame + frame_header_bytes});
  CHECK(count_of_message(largest_frame + 1) ==
        Count{.messages = 1,
              .payload = largest_frame + 1,
              .framed = largest_frame + 1 + 2 * frame_header_bytes});
}

TEST_CASE("TurnMark: a turn whose number has passed is a repeat, and nothing else is", "[wire]") {
  TurnMark mark;
  const auto turn = [](std::uint64_t number) {
    std::vector<std::byte> payload;
    ByteWriter{payload}.put(number, std::uint32_t{7});
    return payload;
  };
  CHECK(!mark.pass(MessageKind::turn, turn(0)));
  CHECK(mark.pass(MessageKind::turn, turn(0)));
  CHECK(!mark.pass(MessageKind::turn, turn(1)));
  CHECK(mark.pass(MessageKind::turn, turn(0)));
  CHECK(!mark.pass(MessageKind::evaluate, turn(0)));
  const auto cut_off = turn(0);
  CHECK(!mark.pass(MessageKind::turn, Bytes{cut_off}.first(7)));
  CHECK(mark.next == 2);
}
