// SPDX-License-Identifier: MIT
#include "support/bytes.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <splitvit/wire/session.hpp>

#include "support/catch.hpp"
#include "support/drain.hpp"
#include "support/peers.hpp"

// Every message as bytes, compared with the files in bytes/. What is fixed for ever, because two
// versions that have nothing else in common refuse each other with it: the header of a frame, the
// range of versions at the start of hello, and refuse. If one of these files changes, the code is
// wrong. All others may change together with the version of the protocol; then
//
//   test_wire "[.make]"
//
// writes them anew.

namespace splitvit::wire {

namespace {

using MessageBytes = std::vector<std::byte>;

std::filesystem::path bytes_folder() {
  return std::filesystem::path{SPLITVIT_SOURCE_DIR} / "tests" / "wire" / "bytes";
}

/// A conversation with every kind of message; what each side says, by name.
class Messages {
 public:
  Messages() {
    using enum MessageKind;
    using namespace std::chrono_literals;
    peers_.at_client.id = {0x1716151413121110, 0x1f1e1d1c1b1a1918};
    peers_.at_client.client = 2;
    peers_.begin();
    // The hello of a client that comes back shows every field; this server takes it as it is.
    peers_.at_client.connection = 4;
    peers_.at_client.steps.restart(70);
    peers_.at_server.steps.restart(70);
    peers_.client.emplace(Session::client(peers_.at_client, {{"model", "vit"}, {"cut", "2"}},
                                          peers_.client_options, peers_.now, {50, 60}));
    up("hello");
    peers_.server->admit(peers_.at_server, {40, 60});
    down("welcome");
    const auto contents = test::bytes_of("activations");
    peers_.ask(contents);
    up("forward");
    peers_.answer(test::bytes_of("gradient"));
    down("backward");
    peers_.client->commit();
    peers_.client->send(evaluate, std::array{Bytes{contents}});
    up("evaluate");
    peers_.server->send(evaluated, std::array{Bytes{contents}});
    down("evaluated");
    peers_.client->send(fetch_weights);
    up("fetch_weights");
    peers_.server->send(weights, std::array{Bytes{contents}});
    down("weights");
    peers_.pass(5s);
    peers_.client->tick(peers_.now);
    up("heartbeat");
    forward_in_frames();
    peers_.server->fail(WireError(Reason::not_finite, "the loss is NaN"));
    down("error");

    peers_.connect();
    peers_.client->send(bye);
    up("bye");
    peers_.connect();
    peers_.client->send(checkpoint, std::array{Bytes{contents}});
    up("checkpoint");
    peers_.begin();
    peers_.say_hello();
    test::reason_of([&] { peers_.server->refuse({"cut", "2", "3"}); });
    down("refuse");
  }

  const std::vector<std::pair<std::string, MessageBytes>>& all() const { return all_; }

 private:
  void up(const char* name) {
    all_.emplace_back(name, test::drain(*peers_.client, peers_.now));
    give_to_server(all_.back().second);
  }
  void down(const char* name) {
    all_.emplace_back(name, test::drain(*peers_.server, peers_.now));
    test::reason_of([&] { test::feed(*peers_.client, all_.back().second, peers_.now); });
  }
  void give_to_server(Bytes bytes) { test::feed(*peers_.server, bytes, peers_.now); }

  /// The writer makes frames of 1 MiB. Shorter ones mean the same.
  void forward_in_frames() {
    MessageBytes payload, stream;
    ByteWriter out{payload};
    out.put(std::uint64_t{72});
    out.put(std::uint32_t{0});
    out.put_bytes(test::bytes_of("activations in three frames"));
    std::uint64_t sequence = 4;  // after forward, evaluate, fetch_weights and heartbeat
    const auto frame = [&](MessageKind kind, Bytes part, bool continues) {
      put_header(stream, {.kind = kind,
                          .continues = continues,
                          .length = static_cast<std::uint32_t>(part.size()),
                          .connection = 5,
                          .sequence = sequence++,
                          .payload_crc = crc32c(part)});
      stream.insert(stream.end(), part.begin(), part.end());
    };
    frame(MessageKind::forward, Bytes{payload}.first(5), true);
    frame(MessageKind::heartbeat, {}, false);
    frame(MessageKind::forward, Bytes{payload}.subspan(5, 20), true);
    frame(MessageKind::forward, Bytes{payload}.subspan(25), false);
    all_.emplace_back("forward_in_frames", stream);
    give_to_server(stream);
  }

  test::Peers peers_{
      .client_options = {.largest_message = 1 << 20, .heartbeat = std::chrono::seconds{5}},
      .server_options = {.largest_message = 1 << 19, .heartbeat = std::chrono::seconds{5}}};
  std::vector<std::pair<std::string, MessageBytes>> all_;
};

MessageBytes file_bytes(const std::string& name) {
  std::ifstream in{bytes_folder() / (name + ".bin"), std::ios::binary};
  const std::vector<char> text{std::istreambuf_iterator<char>{in}, {}};
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

/// The one message in a file: its kind and payload, as any connection reads it.
std::pair<MessageKind, MessageBytes> message_in(const std::string& name, std::uint32_t connection,
                                                std::uint64_t sequence) {
  MessageBytes bytes = file_bytes(name);
  MessageReader reader;
  MessageBytes payload;
  reader.begin(connection, unadmitted_limit);
  // The reader counts from 0: let it have read so many heartbeats.
  for (std::uint64_t i = 0; i < sequence; ++i) {
    MessageBytes beat;
    put_header(beat, {.kind = MessageKind::heartbeat, .connection = connection, .sequence = i});
    test::feed(reader, beat, payload, [](MessageKind) {});
  }
  std::vector<MessageKind> kinds;
  test::feed(reader, bytes, payload, [&](MessageKind kind) { kinds.push_back(kind); });
  REQUIRE_FALSE(kinds.empty());
  return {kinds.back(), payload};
}

}  // namespace

TEST_CASE("bytes: write the files of all messages", "[.make]") {
  std::filesystem::create_directories(bytes_folder());
  const Messages messages;
  for (const auto& [name, bytes] : messages.all()) {
    std::ofstream out{bytes_folder() / (name + ".bin"), std::ios::binary};
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
    REQUIRE(out.flush());
  }
}

TEST_CASE("bytes: every message is written as it was", "[wire]") {
  const Messages messages;
  REQUIRE(messages.all().size() == 14);
  for (const auto& [name, bytes] : messages.all()) {
    INFO(name);
    CHECK(bytes == file_bytes(name));
  }
}

TEST_CASE("bytes: every message is read as it was meant", "[wire]") {
  const auto [hello_kind, hello_bytes] = message_in("hello", 0, 0);
  CHECK(hello_kind == MessageKind::hello);
  const Hello hello = read_hello(hello_bytes).hello;
  CHECK(hello.versions == Versions{1, 1});
  CHECK(hello.largest_message == 1 << 20);
  CHECK(hello.heartbeat_ms == 5000);
  CHECK(hello.session == SessionId{0x1716151413121110, 0x1f1e1d1c1b1a1918});
  CHECK(hello.connection == 4);
  CHECK(hello.client == 2);
  CHECK(hello.last_step == 70);
  CHECK(hello.generations == std::vector<std::uint64_t>{50, 60});
  CHECK(hello.settings == Settings{{"model", "vit"}, {"cut", "2"}});

  const auto [welcome_kind, welcome_bytes] = message_in("welcome", 0, 0);
  CHECK(welcome_kind == MessageKind::welcome);
  const Welcome welcome = read_welcome(welcome_bytes, hello);
  CHECK(welcome.largest_message == 1 << 19);
  CHECK(welcome.connection == 5);
  CHECK(welcome.last_step == 70);
  CHECK(welcome.generation == std::uint64_t{60});

  const auto [refuse_kind, refuse_bytes] = message_in("refuse", 0, 0);
  CHECK(refuse_kind == MessageKind::refuse);
  CHECK(read_refusal(refuse_bytes).text() ==
        "handshake refused: cut: the client has 2, the server has 3");

  const auto [error_kind, error_bytes] = message_in("error", 5, 3);
  CHECK(error_kind == MessageKind::error);
  std::string text;
  CHECK(test::reason_of([&, payload = error_bytes] { throw_peer_error(payload); }, &text) ==
        Reason::peer_failed);
  CHECK(text == "the peer gave up: the loss is NaN");

  const auto check = [](const char* name, MessageKind kind, std::uint32_t connection,
                        std::uint64_t sequence, std::string_view contents) {
    INFO(name);
    const auto [came, payload] = message_in(name, connection, sequence);
    CHECK(came == kind);
    CHECK(payload == test::bytes_of(contents));
  };
  using namespace std::string_view_literals;
  check("forward", MessageKind::forward, 5, 0, "\x47\0\0\0\0\0\0\0\0\0\0\0activations"sv);
  check("backward", MessageKind::backward, 5, 0, "\x47\0\0\0\0\0\0\0\0\0\0\0gradient"sv);
  check("evaluate", MessageKind::evaluate, 5, 1, "activations");
  check("evaluated", MessageKind::evaluated, 5, 1, "activations");
  check("fetch_weights", MessageKind::fetch_weights, 5, 2, "");
  check("weights", MessageKind::weights, 5, 2, "activations");
  check("heartbeat", MessageKind::heartbeat, 5, 3, "");
  check("forward_in_frames", MessageKind::forward, 5, 4,
        "\x48\0\0\0\0\0\0\0\0\0\0\0activations in three frames"sv);
  check("bye", MessageKind::bye, 6, 0, "");
  check("checkpoint", MessageKind::checkpoint, 7, 0, "activations");
}

TEST_CASE("bytes: what two versions need to refuse each other never changes", "[wire]") {
  // Written by hand: "SPVT", frame version 1, kind 3 or 1, no flags, the length, connection and
  // sequence 0, two checksums; then three texts, or two versions and what nobody knows yet.
  const auto header = [](int kind, int length) {
    MessageBytes bytes = test::bytes_of({'S', 'P', 'V', 'T', 1, kind, 0, 0, length, 0, 0, 0});
    bytes.resize(24);
    return bytes;
  };
  const auto refuse = file_bytes("refuse"), hello = file_bytes("hello");
  REQUIRE(refuse.size() == 32 + 17);
  CHECK(std::equal(refuse.begin(), refuse.begin() + 24, header(3, 17).begin()));
  const auto texts = test::bytes_of({3, 0, 0, 0, 'c', 'u', 't', 1, 0, 0, 0, '2', 1, 0, 0, 0, '3'});
  CHECK(std::equal(texts.begin(), texts.end(), refuse.begin() + 32));
  REQUIRE(hello.size() > 36);
  CHECK(std::equal(hello.begin(), hello.begin() + 24,
                   header(1, static_cast<int>(hello.size() - 32)).begin()));
  CHECK(std::ranges::equal(Bytes{hello}.subspan(32, 4), test::bytes_of({1, 0, 1, 0})));
}

}  // namespace splitvit::wire
