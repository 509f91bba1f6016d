// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <splitvit/compress/adc.hpp>
#include <splitvit/compress/then.hpp>
#include <splitvit/optim/adam.hpp>
#include <splitvit/split/aggregator.hpp>
#include <splitvit/split/client.hpp>
#include <splitvit/split/server.hpp>
#include <splitvit/transport/memory.hpp>
#include <splitvit/transport/metered.hpp>

#include "split/loopback.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace std::chrono_literals;
using test::RandomBatches;
using test::Serving;
using test::small_vit;
using test::start;

namespace {

/// One well-behaved session, after which all must be as it should.
template <class Server>
void train_honestly(Server& server) {
  auto [client_end, server_end] = transport::memory_pair();
  Serving serving{server, std::move(server_end)};
  split::Client client{test::client_part<float>(), optim::Adam{}, compress::Identity{},
                       std::move(client_end)};
  CHECK(client.train_epoch(RandomBatches<float>{}).steps == 3);
  client.close();
  serving.finish();
}

/// The weights of a server that has had one well-behaved session and nothing else.
std::vector<float> honest_weights() {
  split::Server server{test::server_part<float>(), optim::Adam{}};
  train_honestly(server);
  return test::numbers_of<float>(server.part());
}

/// Shakes hands as a client of small_vit would, then hands over the channel.
template <class Misbehave>
Reason reason_after(const Misbehave& misbehave) {
  split::Server server{test::server_part<float>(),
                       optim::Adam{},
                       {.session = {.handshake_timeout = 200ms, .step_timeout = 200ms}}};
  const auto before = test::numbers_of<float>(server.part());
  auto [client_end, server_end] = transport::memory_pair();
  Serving serving{server, std::move(server_end)};
  Reason reason{};
  {
    test::RawClient client{std::move(client_end), test::small_settings("custom")};
    misbehave(client);
    try {
      serving.finish();
      FAIL("the server did not complain");
    } catch (const ReasonedError& error) {
      reason = error.reason();
    }
  }
  CHECK(test::numbers_of<float>(server.part()) == before);
  train_honestly(server);  // the server goes on serving, as if nothing had happened
  static const std::vector<float> expected = honest_weights();
  CHECK(test::numbers_of<float>(server.part()) == expected);
  return reason;
}

/// A forward message of so many samples and tokens, with so many bytes of activations.
std::vector<std::byte> forward_payload(std::uint64_t step, Index samples, Index tokens,
                                       std::size_t bytes) {
  const std::vector<Index> ids(static_cast<std::size_t>(std::clamp<Index>(samples, 1, 8)), 0);
  std::vector<std::byte> labels, payload;
  wire::put_labels(ids, 5, labels);
  if (step > 0) {
    ByteWriter number{payload};
    number.put(step);
    number.put(std::uint32_t{0});
  }
  split::ForwardMessage{.samples = samples, .tokens = tokens, .labels = labels}.put_header(payload);
  payload.resize(payload.size() + bytes);
  return payload;
}

}  // namespace

TEST_CASE("server: refuses a client of another model, cut or method, naming both values",
          "[split]") {
  const auto refusal = [](const nn::VitConfig& vit, Index cut, const auto& stage,
                          const split::ServerOptions& options, const split::ClientOptions& client) {
    split::Server server{test::server_part<float>(), optim::Adam{}, options};
    auto [client_end, server_end] = transport::memory_pair();
    Serving serving{server, std::move(server_end)};
    std::string text;
    try {
      split::Client refused{nn::make_part<float>(vit, 0, cut, start), optim::Adam{}, stage,
                            std::move(client_end), client};
    } catch (const WireError& error) {
      CHECK(error.reason() == Reason::refused);
      text = error.what();
    }
    CHECK_THROWS_AS(serving.finish(), WireError);
    train_honestly(server);
    return text;
  };
  const compress::Identity none;
  CHECK_THAT(refusal(small_vit, 2, none, {}, {}),
             ContainsSubstring("cut: the client has 2, the server has 1"));
  nn::VitConfig other = small_vit;
  other.depth = 4;
  CHECK_THAT(refusal(other, 1, none, {}, {}),
             ContainsSubstring("depth: the client has 4, the server has 3"));
  other = small_vit;
  other.classes = 7;
  CHECK_THAT(refusal(other, 1, none, {}, {}), ContainsSubstring("classes: the client has 7"));
  CHECK_THAT(refusal(small_vit, 1, compress::adc(0.2), {.method = "none"}, {}),
             ContainsSubstring("method"));
  CHECK_THAT(refusal(small_vit, 1, none, {}, {.agreed = {{"seed", "1"}}}),
             ContainsSubstring("seed"));
}

TEST_CASE("parties: a part that belongs to the other one is refused", "[split]") {
  CHECK_THROWS_WITH((split::Server{test::client_part(), optim::Adam{}}),
                    ContainsSubstring("Server: the part is blocks [0, 1) of 3") &&
                        ContainsSubstring("wanted one without stem"));
  CHECK_THROWS_WITH((split::Client{test::server_part(), optim::Adam{}, compress::Identity{},
                                   transport::memory_pair().first}),
                    ContainsSubstring("Client: the part is blocks [1, 3) of 3") &&
                        ContainsSubstring("wanted one with stem"));
  // Not all of a model; its middle for a server whose clients have the rest.
  const auto middle = nn::make_part<float>(test::small_vit, 1, 2, test::start);
  const auto whole = nn::make_part<float>(test::small_vit, 0, 3, test::start);
  CHECK_THROWS_AS((split::Server{whole, optim::Adam{}}), std::invalid_argument);
  CHECK_NOTHROW(split::Server{middle, optim::Adam{}});
  for (const auto& part : {middle, whole})
    CHECK_THROWS_AS(
        (split::Client{part, optim::Adam{}, compress::Identity{}, transport::memory_pair().first}),
        std::invalid_argument);
  const auto group_of = [](const nn::Part<float>& part) {
    return split::Server<float>{
        split::Shared{}, {.clients = 2}, [&] { return part; }, optim::Adam{}};
  };
  CHECK_NOTHROW(group_of(middle));
  CHECK_THROWS_AS(group_of(whole), std::invalid_argument);
}

TEST_CASE("server: keeps so many sessions and no more, and forgets those that said goodbye",
          "[split]") {
  split::Server server{test::server_part(), optim::Adam{}, {.most_sessions = 1}};
  train_honestly(server);
  auto [client_end, server_end] = transport::memory_pair();
  Serving serving{server, std::move(server_end)};
  split::Client client{test::client_part(), optim::Adam{}, compress::Identity{},
                       std::move(client_end)};
  client.train_epoch(RandomBatches<float>{.left = 1});
  {
    auto [other_end, other_server_end] = transport::memory_pair();
    Serving other{server, std::move(other_server_end)};
    CHECK_THROWS_WITH((split::Client{test::client_part(), optim::Adam{}, compress::Identity{},
                                     std::move(other_end)}),
                      ContainsSubstring("busy: serving 1 of 1"));
    CHECK_THROWS_AS(other.finish(), WireError);
  }
  client.close();
  serving.finish();
  train_honestly(server);
}

TEST_CASE("server: where there is no room, the oldest that is not connected is forgotten",
          "[split]") {
  split::Server server{test::server_part(), optim::Adam{}, {.most_sessions = 2}};
  using Thread = std::optional<Serving<split::Server<float>>>;
  std::vector<std::unique_ptr<split::Client<float>>> clients;
  for (int i = 0; i < 3; ++i) {
    Thread serving;
    clients.push_back(std::make_unique<split::Client<float>>(
        test::client_part(), optim::Adam{}, compress::Identity{}, test::dial(server, serving)));
    clients.back()->train_epoch(RandomBatches<float>{.left = 1});
    clients.back()->disconnect();
    CHECK_THROWS_AS(serving->finish(), TransportError);
  }
  Thread forgotten, kept;
  CHECK_THROWS_WITH(clients[0]->reconnect(test::dial(server, forgotten)),
                    ContainsSubstring("last step"));
  CHECK_THROWS_AS(forgotten->finish(), WireError);
  clients[2]->reconnect(test::dial(server, kept));
  CHECK(clients[2]->train_epoch(RandomBatches<float>{.left = 1}).steps == 1);
  clients[2]->close();
  kept->finish();
}

TEST_CASE("server: a session whose link broke is kept for so long", "[split][timing]") {
  using Thread = std::optional<Serving<split::Server<float>>>;
  const auto comes_back = [](std::chrono::milliseconds keep_for) {
    split::Server server{test::server_part(), optim::Adam{}, {.keep_for = keep_for}};
    Thread first, other, again;
    split::Client client{test::client_part(), optim::Adam{}, compress::Identity{},
                         test::dial(server, first)};
    client.train_epoch(RandomBatches<float>{.left = 1});
    client.disconnect();
    CHECK_THROWS_AS(first->finish(), TransportError);
    std::this_thread::sleep_for(20ms);
    {  // when another comes, sessions whose time is over are forgotten
      split::Client passing{test::client_part(), optim::Adam{}, compress::Identity{},
                            test::dial(server, other)};
      passing.close();
      other->finish();
    }
    try {
      client.reconnect(test::dial(server, again));
      client.close();
      again->finish();
      return true;
    } catch (const WireError&) {
      CHECK_THROWS_AS(again->finish(), WireError);
      return false;
    }
  };
  CHECK(comes_back(10min));
  CHECK_FALSE(comes_back(10ms));
}

TEST_CASE("parties: a step longer than a silence may last is not taken for death; upkeep counts it",
          "[split][timing]") {
  const wire::SessionOptions beats{.heartbeat = 10ms};  // dead after 1.02 s
  split::Server server{test::server_part(), test::SlowRule{.wait = 1200ms}, {.session = beats}};
  auto [client_end, server_end] = transport::memory_pair();
  Serving serving{server, std::move(server_end)};
  transport::Metered metered{std::move(client_end)};
  const auto counted = metered.traffic();
  split::Client client{test::client_part(),
                       optim::Adam{},
                       compress::Identity{},
                       std::move(metered),
                       {.session = beats}};
  const auto step = client.train_epoch(RandomBatches<float>{.left = 1});
  std::this_thread::sleep_for(1200ms);  // the client computes
  CHECK(client.evaluate(RandomBatches<float>{.left = 1}).samples == 6);
  client.close();
  serving.finish();
  const auto of = [&](split::Column column) { return client.traffic(column); };
  CHECK(of(split::Column::upkeep).up.framing >= 20 * wire::frame_header_bytes);
  CHECK(of(split::Column::upkeep).up.payload == 0);
  CHECK(step.traffic.up.framing == wire::frame_header_bytes);
  split::Traffic sum;
  for (const auto column : {split::Column::training, split::Column::evaluation,
                            split::Column::weights, split::Column::upkeep})
    sum += of(column);
  CHECK(sum.up.total() == counted->sent());
  // But for heartbeats that cross the goodbye.
  const std::uint64_t uncounted = counted->received() - sum.down.total();
  CHECK(uncounted % wire::frame_header_bytes == 0);
  CHECK(uncounted <= 5 * wire::frame_header_bytes);
}

TEST_CASE("server: tells what becomes of a session", "[split]") {
  split::Server server{test::server_part(), optim::Adam{}};
  std::vector<split::SessionEvent> events;
  const auto serve = [&](transport::MemoryLink end) {
    auto session = wire::Session::server({}, transport::Clock::now());
    return std::jthread{
        [&, connection = std::make_shared<wire::Connection>(std::move(end), std::move(session))] {
          try {
            server.serve(connection,
                         [&](const split::SessionEvent& event) { events.push_back(event); });
          } catch (const ReasonedError&) {
          }
        }};
  };
  auto first = transport::memory_pair(), second = transport::memory_pair(),
       other = transport::memory_pair();
  auto serving = serve(std::move(first.second));
  split::Client client{test::client_part(), optim::Adam{}, compress::Identity{},
                       std::move(first.first)};
  client.train_epoch(RandomBatches<float>{.left = 2});
  client.disconnect();
  serving.join();
  serving = serve(std::move(second.second));
  client.reconnect(std::move(second.first));
  client.train_epoch(RandomBatches<float>{.left = 1});
  client.close();
  serving.join();
  serving = serve(std::move(other.second));
  CHECK_THROWS_AS((split::Client{nn::make_part<float>(small_vit, 0, 2, start), optim::Adam{},
                                 compress::Identity{}, std::move(other.first)}),
                  WireError);
  serving.join();
  using Kind = split::SessionEvent::Kind;
  std::vector<std::pair<Kind, std::uint64_t>> seen;
  for (const auto& event : events) seen.emplace_back(event.kind, event.step);
  CHECK(seen == std::vector<std::pair<Kind, std::uint64_t>>{{Kind::began, 0},
                                                            {Kind::lost, 2},
                                                            {Kind::resumed, 2},
                                                            {Kind::ended, 3},
                                                            {Kind::refused, 0}});
  CHECK(events[0].id != wire::SessionId{});
  CHECK(events[0].id == events[3].id);
  CHECK_THAT(events[1].reason, ContainsSubstring("closed the link"));
  CHECK_THAT(events[4].reason, ContainsSubstring("cut: the client has 2"));
}

TEST_CASE("server: shows the state of the part and of each client that it keeps", "[split]") {
  split::Server server{test::server_part(), optim::Adam{}};
  auto [client_end, server_end] = transport::memory_pair();
  Serving serving{server, std::move(server_end)};
  split::Client client{test::client_part(), optim::Adam{}, compress::Identity{},
                       std::move(client_end)};
  client.train_epoch(RandomBatches<float>{.left = 1});
  client.disconnect();
  CHECK_THROWS_AS(serving.finish(), TransportError);
  std::set<std::string> names;
  std::uint64_t last_step = 0;
  server.each_state([&]<class V>(const std::string& name, V&& value) {
    CHECK(names.insert(name).second);
    if constexpr (std::same_as<std::remove_cvref_t<V>, std::uint64_t>)
      if (name == "client.0.last_step") last_step = value;
  });
  CHECK(last_step == 1);
  CHECK(names.contains("weights.head.weight"));
  CHECK(names.contains("optimizer.m.head.weight"));
  const auto stored = state_bytes(server);
  CHECK_NOTHROW(set_state_bytes(server, stored));
  CHECK(state_bytes(server) == stored);
  CHECK(server.step_of({1, 2}) == 0);

  split::Server<float> without{[](const wire::Hello&) -> split::ServerRole<float> {
    throw WireError(Reason::refused, "nobody is served");
  }};
  CHECK_THROWS_AS(without.part(), std::logic_error);
  CHECK_THROWS_AS(without.steps(), std::logic_error);
  CHECK(state_bytes(without).size() < stored.size());
}

TEST_CASE("server: a client that never took a step is not kept", "[split]") {
  split::Server server{test::server_part(), optim::Adam{}, {.most_sessions = 1}};
  for (int i = 0; i < 3; ++i) {
    auto [client_end, server_end] = transport::memory_pair();
    Serving serving{server, std::move(server_end)};
    {
      const test::RawClient gone{std::move(client_end), test::small_settings("custom")};
    }
    CHECK_THROWS_AS(serving.finish(), TransportError);
  }
  train_honestly(server);
}

TEST_CASE("server: whatever a client sends ends its session alone", "[split][timing]") {
  const auto sends = [](wire::MessageKind kind, std::vector<std::byte> payload) {
    return reason_after([&](auto& client) { client.send(kind, payload); });
  };
  using wire::MessageKind;
  CHECK(sends(MessageKind::hello, {}) == Reason::wrong_message);
  CHECK(sends(MessageKind::forward, {}) == Reason::truncated);
  CHECK(sends(MessageKind::forward, forward_payload(2, 1, 1, 64)) == Reason::wrong_step);
  CHECK(sends(MessageKind::forward, forward_payload(1, 1, 6, 64 * 6)) == Reason::wrong_shape);
  CHECK(sends(MessageKind::forward, forward_payload(1, 0, 1, 64)) == Reason::wrong_shape);
  CHECK(sends(MessageKind::forward, forward_payload(1, 1, 0, 64)) == Reason::wrong_shape);
  CHECK(sends(MessageKind::forward, forward_payload(1, 0xFFFFFFFF, 1, 64)) == Reason::wrong_shape);
  CHECK(sends(MessageKind::forward, forward_payload(1, 1, 1, 63)) == Reason::wrong_shape);
  CHECK(sends(MessageKind::evaluate, forward_payload(0, 2, 1, 64)) == Reason::wrong_shape);
  std::vector<std::byte> infinite = forward_payload(1, 1, 1, 64);
  infinite[infinite.size() - 1] = std::byte{0x7F};
  infinite[infinite.size() - 2] = std::byte{0x80};
  CHECK(sends(MessageKind::forward, infinite) == Reason::not_finite);
  // Finite, but what the model makes of it is not: no gradient of it is left for the next client.
  std::vector<std::byte> huge = forward_payload(1, 1, 1, 64);
  for (std::size_t i = 0; i < 16; ++i) {
    const float number = i % 2 == 0 ? 3e38f : -3e38f;
    std::memcpy(huge.data() + huge.size() - 64 + 4 * i, &number, sizeof number);
  }
  CHECK(sends(MessageKind::forward, huge) == Reason::not_finite);
  CHECK(sends(MessageKind::evaluate, forward_payload(1, 1, 1, 64)) == Reason::wrong_shape);
  CHECK(sends(MessageKind::error, wire::error_payload(Reason::malformed, "no")) ==
        Reason::peer_failed);
}

TEST_CASE("server: silence, garbage and a closed link each end in an error of their own",
          "[split][timing]") {
  CHECK(reason_after([](auto&) {}) == Reason::timed_out);
  CHECK(reason_after([](auto& client) {
          const std::vector<std::byte> garbage(100, std::byte{0x41});
          transport::write_all(client.link, garbage);
        }) == Reason::bad_magic);
  CHECK(reason_after([](auto& client) { auto gone = std::move(client.link); }) == Reason::closed);
}

TEST_CASE("server: refuses a client with another bottleneck, naming both values", "[split]") {
  const auto refusal = [](const nn::BottleneckOptions& server_side,
                          const nn::BottleneckOptions* client_side) {
    auto server_part = test::server_part<float>();
    server_part.decoder = nn::make_decoder<float>(16, server_side, start);
    auto client_part = test::client_part<float>();
    if (client_side) client_part.encoder = nn::make_encoder<float>(16, *client_side, start);
    split::Server server{std::move(server_part), optim::Adam{}};
    auto [client_end, server_end] = transport::memory_pair();
    Serving serving{server, std::move(server_end)};
    std::string text;
    try {
      split::Client refused{std::move(client_part), optim::Adam{}, compress::Identity{},
                            std::move(client_end)};
    } catch (const WireError& error) {
      text = error.what();
    }
    CHECK_THROWS_AS(serving.finish(), WireError);
    return text;
  };
  CHECK_THAT(refusal({.ratio = 0.5}, nullptr),
             ContainsSubstring("bottleneck: the client has none, the server has bottleneck"));
  const nn::BottleneckOptions quarter{.ratio = 0.25};
  CHECK_THAT(refusal({.ratio = 0.5}, &quarter),
             ContainsSubstring("bottleneck:0.25") && ContainsSubstring("bottleneck:0.5"));
}

TEST_CASE("server: a decoder that does not fit ends the session and changes nothing", "[split]") {
  constexpr nn::BottleneckOptions options{.ratio = 0.5, .layers = 1};
  auto client_part = test::client_part<float>();
  client_part.encoder = nn::make_encoder<float>(16, options, start);
  const auto reason_of = [&](const auto& send) {
    auto server_part = test::server_part<float>();
    server_part.decoder = nn::make_decoder<float>(16, options, start);
    split::Server server{std::move(server_part), optim::Adam{}};
    const auto before = test::numbers_of<float>(server.part());
    auto [client_end, server_end] = transport::memory_pair();
    Serving serving{server, std::move(server_end)};
    test::RawClient client{std::move(client_end),
                           split::settings_of(client_part, "none", "float32", {})};
    send(client);
    try {
      serving.finish();
    } catch (const WireError& error) {
      CHECK(test::numbers_of<float>(server.part()) == before);
      return error.reason();
    }
    return Reason{};
  };
  const auto decoder_bytes = [](const nn::Decoder<float>& decoder) {
    return split::weights_payload<float>(decoder);
  };
  const auto sent = [&](const std::vector<std::byte>& payload) {
    return reason_of([&](auto& client) { client.send(wire::MessageKind::weights, payload); });
  };
  const nn::Decoder<float> fitting{16, options};
  CHECK(sent(decoder_bytes(nn::Decoder<float>{16, {.ratio = 0.25, .layers = 1}})) ==
        Reason::wrong_shape);
  CHECK(sent(decoder_bytes(nn::Decoder<float>{16, {}})) == Reason::wrong_shape);
  auto cut = decoder_bytes(fitting);
  cut.pop_back();
  CHECK(sent(cut) == Reason::truncated);
  auto not_a_number = decoder_bytes(fitting);
  std::fill_n(not_a_number.end() - 4, 4, std::byte{0xFF});  // the last number of the bias
  CHECK(sent(not_a_number) == Reason::not_finite);
}

TEST_CASE("server: a decoder is refused where none is wanted, and after a step", "[split]") {
  const nn::Decoder<float> decoder{16, {}};
  nn::Part<float> with_decoder = test::server_part();
  with_decoder.decoder = decoder;
  const auto learner = std::make_shared<split::Learner<float>>(with_decoder, optim::Adam{});
  split::ServerRole<float> role{learner, split::CutReceiver<float>{{}}};
  role.take_decoder(split::weights_payload<float>(decoder));
  learner->apply();
  CHECK(test::reason_of([&] { role.take_decoder(split::weights_payload<float>(decoder)); }) ==
        Reason::wrong_message);
  CHECK(reason_after([&](auto& client) {
          client.send(wire::MessageKind::weights, split::weights_payload<float>(decoder));
        }) == Reason::wrong_message);
}

TEST_CASE("server: a step that comes twice is applied once and answered alike", "[split]") {
  split::Server server{test::server_part<float>(), optim::Adam{}};
  auto [client_end, server_end] = transport::memory_pair();
  Serving serving{server, std::move(server_end)};
  test::RawClient client{std::move(client_end), test::small_settings("custom")};
  std::vector<std::vector<std::byte>> replies;
  for (int i = 0; i < 2; ++i) {
    client.send(wire::MessageKind::forward, forward_payload(1, 2, 3, 2 * 3 * 16 * 4));
    replies.push_back(client.receive(wire::MessageKind::backward));
  }
  CHECK(replies[0] == replies[1]);
  CHECK(server.steps() == 1);
  client.send(wire::MessageKind::bye);
  serving.finish();
}

TEST_CASE("server: tells the client why it gives up", "[split]") {
  split::Server server{test::server_part<float>(), optim::Adam{}};
  auto [client_end, server_end] = transport::memory_pair();
  Serving serving{server, std::move(server_end)};
  test::RawClient client{std::move(client_end), test::small_settings("custom")};
  client.send(wire::MessageKind::forward, forward_payload(7, 1, 1, 64));
  CHECK_THROWS_WITH(client.receive(wire::MessageKind::backward),
                    ContainsSubstring("step 7 came, step 1 was expected"));
  CHECK_THROWS_AS(serving.finish(), WireError);
}
