// SPDX-License-Identifier: MIT
#include <thread>

#include <splitvit/transport/memory.hpp>
#include <splitvit/transport/metered.hpp>
#include <splitvit/transport/simulated.hpp>
#include <splitvit/transport/stream.hpp>
#include <splitvit/wire/session.hpp>
#include <splitvit/wire/step_gate.hpp>
#include <splitvit/wire/tensor_payload.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/links.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using namespace std::chrono_literals;
using test::bytes_of;
using test::reason_of;
using test::ScriptLink;
using transport::memory_pair;

namespace {

const Settings agreed{{"model", "vit"}, {"cut", "2"}, {"seed", "42"}};
const SessionOptions options{.timeout = 10s, .id = {5, 6}};

// The smallest training there is: forward and backward messages hold a step and two numbers.

std::vector<std::byte> step_payload(std::uint64_t step, std::span<const float> numbers) {
  PayloadWriter out;
  out.put(step);
  out.put_tensor<float>({2}, numbers);
  return out.gather();
}

std::uint64_t read_step(Bytes payload, std::span<float> numbers) {
  PayloadReader in{payload, "step"};
  const auto step = in.get<std::uint64_t>();
  const auto tensor = in.get_tensor<float>();
  tensor.require_shape({2}, "numbers");
  in.expect_end();
  tensor.copy_to(numbers);
  return step;
}

/// Serves until bye. `sum` is the state: what all steps so far have added.
template <class Link>
void serve(Channel<Link>& channel, float& sum) {
  accept_session(channel, agreed, options);
  StepGate gate;
  std::vector<std::byte> payload;
  float numbers[2];
  while (true) {
    const MessageKind kind = channel.receive(payload);
    if (kind == MessageKind::bye) return;
    if (kind != MessageKind::forward)
      throw WireError(Reason::wrong_message, std::string{name(kind)} + " came");
    const std::uint64_t step = read_step(payload, numbers);
    if (gate.arrive(step) == StepGate::Verdict::compute) {
      sum += numbers[0] + numbers[1];
      const float reply[] = {sum, 0.0f};
      gate.commit(step, step_payload(step, reply));
    }
    channel.send(MessageKind::backward, gate.reply());
  }
}

/// Trains three steps. `sum` is what the server's replies said last.
template <class Link>
void train(Channel<Link>& channel, float& sum) {
  connect_session(channel, agreed, options);
  std::vector<std::byte> payload;
  for (std::uint64_t step = 1; step <= 3; ++step) {
    float numbers[] = {static_cast<float>(step), 0.5f};
    channel.send(MessageKind::forward, step_payload(step, numbers));
    receive_expected(channel, MessageKind::backward, payload);
    if (read_step(payload, numbers) != step)
      throw WireError(Reason::wrong_step, "a reply to another step");
    sum = numbers[0];
  }
  channel.send(MessageKind::bye);
}

struct Recording {
  std::vector<std::byte> from_client;
  std::vector<std::byte> from_server;
};

/// All bytes of the exchange above. The server needs nothing but the client's bytes, so the
/// client is played by a script, one reply longer each time.
Recording record() {
  Recording recording;
  for (int messages = 0; messages < 5; ++messages) {
    ScriptLink link{recording.from_server};
    const auto written = link.written();
    Channel client{std::move(link)};
    float at_client = 0, at_server = 0;
    reason_of([&] { train(client, at_client); });
    recording.from_client = *written;

    ScriptLink back{recording.from_client};
    const auto answered = back.written();
    Channel server{std::move(back)};
    reason_of([&] { serve(server, at_server); });
    recording.from_server = *answered;
  }
  return recording;
}

/// Why the server gives up when these bytes come; `sum` is its state then.
std::optional<Reason> server_outcome(std::vector<std::byte> bytes, float& sum,
                                     std::size_t piece = 1 << 20) {
  Channel channel{ScriptLink{std::move(bytes), piece}};
  sum = 0;
  return reason_of([&] { serve(channel, sum); });
}
std::optional<Reason> client_outcome(std::vector<std::byte> bytes, float& sum,
                                     std::size_t piece = 1 << 20) {
  Channel channel{ScriptLink{std::move(bytes), piece}};
  sum = 0;
  return reason_of([&] { train(channel, sum); });
}

}  // namespace

TEST_CASE("session: two sides agree and train", "[wire]") {
  auto ends = memory_pair();
  Channel client{transport::Metered{std::move(ends.first)}};
  Channel server{std::move(ends.second)};
  float at_server = 0, at_client = 0;
  {
    const std::jthread serving{[&] { serve(server, at_server); }};
    train(client, at_client);
  }
  CHECK(at_client == 1.5f + 2.5f + 3.5f);
  CHECK(at_server == at_client);
  CHECK(client.sent().total().framed == client.link().sent());
  CHECK(client.sent().limit() == message_ceiling);
  CHECK(client.received().count(MessageKind::welcome).messages == 1);
}

TEST_CASE("session: the smaller limit of both holds for both", "[wire]") {
  auto ends = memory_pair();
  Channel client{std::move(ends.first)};
  Channel server{std::move(ends.second)};
  Session accepted;
  const std::jthread serving{
      [&] { accepted = accept_session(server, agreed, {.largest_message = 5000}); }};
  const Session session = connect_session(client, agreed);
  CHECK(session.largest_message == 5000);
  CHECK(session.id != SessionId{});
  CHECK(client.sent().limit() == 5000);
  CHECK(client.received().limit() == 5000);
}

TEST_CASE("session: a refusal reaches both sides with the same words", "[wire]") {
  auto ends = memory_pair();
  Channel client{std::move(ends.first)};
  Channel server{std::move(ends.second)};
  std::string at_server, at_client;
  std::optional<Reason> reason;
  {
    const std::jthread serving{[&] {
      Settings other = agreed;
      other[1].value = "3";
      reason = reason_of<WireError>([&] { accept_session(server, other); }, &at_server);
    }};
    CHECK(reason_of<WireError>([&] { connect_session(client, agreed); }, &at_client) ==
          Reason::refused);
  }
  CHECK(reason == Reason::refused);
  CHECK(at_client == "handshake refused: cut: the client has 2, the server has 3");
  CHECK(at_server == at_client);
}

TEST_CASE("session: silence ends at the deadline, on both sides", "[wire]") {
  auto ends = memory_pair();
  Channel here{std::move(ends.first)};
  CHECK(reason_of<TransportError>([&] { connect_session(here, agreed, {.timeout = 10ms}); }) ==
        Reason::timed_out);
  CHECK(reason_of<TransportError>([&] { accept_session(here, agreed, {.timeout = 10ms}); }) ==
        Reason::timed_out);
}

TEST_CASE("session: a peer that dribbles does not get more time", "[wire]") {
  auto ends = memory_pair();
  Channel server{std::move(ends.first)};
  std::jthread dribbles{[link = std::move(ends.second)](const std::stop_token& stop) mutable {
    for (const std::byte b : record().from_client) {
      std::this_thread::sleep_for(2ms);
      if (stop.stop_requested()) return;
      link.write_some(std::span{&b, 1});
    }
  }};
  CHECK(reason_of<TransportError>([&] { accept_session(server, agreed, {.timeout = 30ms}); }) ==
        Reason::timed_out);
  dribbles.request_stop();
}

TEST_CASE("session: a deadline for the handshake, none afterwards, even if it fails", "[wire]") {
  struct KeepsDeadlines : ScriptLink {
    using ScriptLink::ScriptLink;
    void set_deadline(transport::Deadline when) { deadlines.push_back(when); }
    std::vector<transport::Deadline> deadlines;
  };
  for (const bool good : {true, false}) {
    auto bytes = record().from_client;
    if (!good) bytes.resize(40);
    Channel channel{KeepsDeadlines{bytes}};
    const auto before = transport::Clock::now();
    CHECK(reason_of([&] { accept_session(channel, agreed, {.timeout = 10s}); }).has_value() ==
          !good);
    const auto& deadlines = channel.link().deadlines;
    REQUIRE(deadlines.size() == 2);
    CHECK(deadlines[0] >= before + 10s);
    CHECK(deadlines[0] <= transport::Clock::now() + 10s);
    CHECK(deadlines[1] == transport::no_deadline);
  }
}

TEST_CASE("session: a peer that closes", "[wire]") {
  auto ends = memory_pair();
  Channel here{std::move(ends.first)};
  {
    const transport::MemoryLink closing{std::move(ends.second)};
  }
  CHECK(reason_of<TransportError>([&] { connect_session(here, agreed); }) == Reason::closed);
  CHECK(reason_of<TransportError>([&] { accept_session(here, agreed); }) == Reason::closed);
}

TEST_CASE("session: anything but hello is refused before admission", "[wire]") {
  for (const MessageKind kind : {MessageKind::forward, MessageKind::welcome, MessageKind::bye}) {
    std::deque<std::byte> queue;
    Channel channel{test::TrickleLink{queue}};
    channel.send(kind, bytes_of("x"));
    CHECK(reason_of<WireError>([&] { accept_session(channel, agreed); }) == Reason::wrong_message);
  }
}

TEST_CASE("session: a recorded exchange, cut at every byte", "[wire]") {
  const Recording recording = record();
  float sum = 0;
  REQUIRE(server_outcome(recording.from_client, sum) == std::nullopt);
  REQUIRE(sum == 7.5f);
  REQUIRE(client_outcome(recording.from_server, sum) == std::nullopt);
  REQUIRE(sum == 7.5f);

  // Whatever was cut off: the same kind of error, and only whole steps.
  const auto whole = [](float value) {
    return value == 0.0f || value == 1.5f || value == 4.0f || value == 7.5f;
  };
  for (const std::size_t piece : {1u, 1000u}) {
    for (std::size_t cut = 0; cut < recording.from_client.size(); ++cut) {
      const auto bytes = recording.from_client.begin();
      REQUIRE(server_outcome({bytes, bytes + static_cast<std::ptrdiff_t>(cut)}, sum, piece) ==
              Reason::closed);
      REQUIRE(whole(sum));
    }
    for (std::size_t cut = 0; cut < recording.from_server.size(); ++cut) {
      const auto bytes = recording.from_server.begin();
      REQUIRE(client_outcome({bytes, bytes + static_cast<std::ptrdiff_t>(cut)}, sum, piece) ==
              Reason::closed);
      REQUIRE(whole(sum));
    }
  }
}

TEST_CASE("session: a recorded exchange with any bit flipped", "[wire]") {
  const Recording recording = record();
  float sum = 0;
  for (const bool at_server : {true, false}) {
    const auto& good = at_server ? recording.from_client : recording.from_server;
    for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
      auto bad = good;
      bad[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
      const auto reason = at_server ? server_outcome(bad, sum) : client_outcome(bad, sum);
      REQUIRE((reason == Reason::bad_checksum || reason == Reason::bad_magic));
    }
  }
}

TEST_CASE("session: steps out of order are refused, the last one is answered again", "[wire]") {
  const float numbers[] = {1.0f, 1.0f};
  const auto outcome = [&](const std::vector<std::uint64_t>& steps) {
    auto ends = memory_pair();
    Channel client{std::move(ends.first)};
    Channel server{std::move(ends.second)};
    float sum = 0;
    std::optional<Reason> reason;
    std::vector<std::byte> payload, first;
    {
      const std::jthread serving{[&] {
        reason = reason_of([&] { serve(server, sum); });
        const auto closing = std::move(server);
      }};
      connect_session(client, agreed, options);
      reason_of([&] {
        for (const std::uint64_t step : steps) {
          client.send(MessageKind::forward, step_payload(step, numbers));
          client.receive(payload);
        }
        client.send(MessageKind::bye);
      });
    }
    return std::pair{reason, sum};
  };
  using Outcome = std::pair<std::optional<Reason>, float>;
  CHECK(outcome({1, 2, 3}) == Outcome{std::nullopt, 6.0f});
  CHECK(outcome({1, 1, 2, 2, 2}) == Outcome{std::nullopt, 4.0f});
  CHECK(outcome({2}) == Outcome{Reason::wrong_step, 0.0f});
  CHECK(outcome({1, 2, 1}) == Outcome{Reason::wrong_step, 4.0f});
  CHECK(outcome({1, 3}) == Outcome{Reason::wrong_step, 2.0f});
}

TEST_CASE("session: a link that breaks or lies while training", "[wire]") {
  const auto outcome = [](const transport::Faults& faults) {
    auto ends = memory_pair();
    Channel client{transport::Simulated{std::move(ends.first), {}, faults}};
    Channel server{std::move(ends.second)};
    std::optional<Reason> reason;
    const std::jthread serving{[&] {
      float sum = 0;
      reason_of([&] { serve(server, sum); });
      const auto closing = std::move(server);
    }};
    float sum = 0;
    reason = reason_of([&] { train(client, sum); });
    const auto hangs_up = std::move(client);  // before the server is waited for
    return reason;
  };
  CHECK(outcome({.longest_piece = 7, .rng = {.seed = 2}}) == std::nullopt);
  CHECK(outcome({.cut_sent_at = 300}) == Reason::closed);
  CHECK(outcome({.cut_received_at = 300}) == Reason::closed);
  CHECK(outcome({.flip_sent_bit = 1000}) == Reason::closed);  // the server has hung up
  CHECK(outcome({.flip_received_bit = 1000}) == Reason::bad_checksum);
}
