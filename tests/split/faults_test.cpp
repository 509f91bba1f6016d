// SPDX-License-Identifier: MIT
#include <array>
#include <chrono>
#include <cstring>
#include <limits>
#include <optional>
#include <thread>
#include <vector>

#include <splitvit/compress/adc.hpp>
#include <splitvit/compress/then.hpp>
#include <splitvit/spec/codecs.hpp>
#include <splitvit/split/client.hpp>
#include <splitvit/split/server.hpp>
#include <splitvit/transport/metered.hpp>
#include <splitvit/transport/simulated.hpp>

#include "split/loopback.hpp"
#include "support/catch.hpp"
#include "support/links.hpp"
#include "support/sanitizer.hpp"

// Training over links that fail: a step is applied by both parties or can be made up for, and the
// weights end as if nothing had happened.

using namespace splitvit;
using namespace std::chrono_literals;
using test::RandomBatches;
using test::Serving;

namespace {

constexpr int steps = 3;

/// Every place is tried, but under a sanitizer.
constexpr std::uint64_t stride = SPLITVIT_SANITIZED ? 37 : 1;

/// Two parties that can be connected again and again.
struct Pair {
  explicit Pair(const char* codec = "float32", const wire::SessionOptions& session = {})
      : server{test::server_part(), optim::Adam{}, spec::parse_codec<float>(codec),
               split::ServerOptions{.session = session}} {}

  /// A new link whose client end has these faults. The server serves its other end.
  transport::AnyLink dial(const transport::Faults& faults) {
    return transport::Simulated{test::dial(server, serving), {}, faults};
  }
  /// The server has noticed that a link is gone.
  void hang_up() {
    CHECK_THROWS_AS(serving->finish(), ReasonedError);
    serving.reset();
  }

  split::Server<float> server;
  std::optional<Serving<split::Server<float>>> serving;
};

/// All state of both parties after training.
struct Outcome {
  std::vector<float> client, server;
  std::uint64_t bytes = 0;  ///< of training, both ways
  int reconnects = 0;
  friend bool operator==(const Outcome& a, const Outcome& b) {
    return a.client == b.client && a.server == b.server && a.bytes == b.bytes;
  }
};

/// Trains three steps over a link with faults; after each failure over a new one without. The loops
/// are so short that one thread is fastest.
Outcome train_here(const transport::Faults& faults, const char* codec) {
  Pair pair{codec};
  Outcome outcome;
  std::optional<split::Client<float>> client;
  bool connected = false;
  const auto with_retries = [&](const auto& action) {
    while (true) {
      try {
        if (!client)
          client.emplace(test::client_part(), optim::Adam{}, compress::Identity{},
                         spec::parse_codec<float>(codec),
                         pair.dial(outcome.reconnects == 0 ? faults : transport::Faults{}));
        else if (!connected)
          client->reconnect(pair.dial({}));
        connected = true;
        return action();
      } catch (const ReasonedError&) {
        // the client's end closes when the next one takes its place
        connected = false;
        ++outcome.reconnects;
        REQUIRE(outcome.reconnects <= 2);
        if (client) client->disconnect();
        pair.hang_up();
      }
    }
  };
  RandomBatches<float> batches{.samples = 1};
  for (int step = 0; step < steps; ++step) {
    const auto batch = batches.make();
    with_retries([&] { client->train_step(batch.images, batch.labels); });
  }
  with_retries([&] { client->close(); });
  // The goodbye may be cut or damaged, too; the server then keeps a session that nobody needs.
  try {
    pair.serving->finish();
  } catch (const ReasonedError&) {
  }
  CHECK(client->steps() == steps);
  CHECK(pair.server.steps() == steps);
  outcome.client = test::numbers_of<float>(client->part());
  outcome.server = test::numbers_of<float>(pair.server.part());
  outcome.bytes = client->traffic(split::Column::training).total();
  return outcome;
}

Outcome train(const transport::Faults& faults, const char* codec = "float32") {
  return with_threads(1, [&] { return train_here(faults, codec); });
}

/// The bytes, up and down, of an undisturbed training with `count` steps.
std::pair<std::uint64_t, std::uint64_t> undisturbed_bytes(const char* codec = "float32",
                                                          Index count = steps) {
  Pair pair{codec};
  transport::Metered link{pair.dial({})};
  const auto counted = link.traffic();
  split::Client client{test::client_part(), optim::Adam{}, compress::Identity{},
                       spec::parse_codec<float>(codec), std::move(link)};
  client.train_epoch(RandomBatches<float>{.left = count, .samples = 1});
  client.close();
  pair.serving->finish();
  return {counted->sent(), counted->received()};
}

}  // namespace

TEST_CASE("faults: a training that is cut at any byte ends with the same weights",
          "[split][long]") {
  const Outcome undisturbed = train({});
  CHECK(undisturbed.reconnects == 0);
  const auto [up, down] = undisturbed_bytes();
  for (std::uint64_t at = 0; at < up; at += stride) {
    INFO("cut after byte " << at << " of " << up << " up");
    const Outcome outcome = train({.cut_sent_at = at});
    REQUIRE(outcome == undisturbed);
  }
  for (std::uint64_t at = 0; at < down; at += stride) {
    INFO("cut after byte " << at << " of " << down << " down");
    const Outcome outcome = train({.cut_received_at = at});
    REQUIRE(outcome.reconnects == 1);
    REQUIRE(outcome == undisturbed);
  }
}

TEST_CASE("faults: any flipped bit of a frame is found, and the step is made up for",
          "[split][long]") {
  const Outcome undisturbed = train({});
  // the first forward message begins after hello
  const std::uint64_t hello =
      wire::frame_header_bytes +
      wire::hello_payload({.settings = test::small_settings("none")}).size();
  const std::uint64_t frame = wire::frame_header_bytes + 12 + split::ForwardMessage::header_bytes +
                              2 + 5 * 16 * sizeof(float);
  for (std::uint64_t bit = 8 * hello; bit < 8 * (hello + frame); bit += stride) {
    INFO("bit " << bit);
    const Outcome outcome = train({.flip_sent_bit = bit});
    REQUIRE(outcome.reconnects == 1);
    REQUIRE(outcome == undisturbed);
  }
}

TEST_CASE(
    "faults: a byte that comes twice, or half of a link that is closed, costs a connection only",
    "[split][long]") {
  const Outcome undisturbed = train({});
  const auto [up, down] = undisturbed_bytes();
  for (std::uint64_t at = 0; at < up; at += 4 * stride) {
    INFO("byte " << at << " of " << up << " up comes twice");
    REQUIRE(train({.twice_sent_at = at}) == undisturbed);
  }
  for (std::uint64_t at = 0; at < down; at += 4 * stride) {
    INFO("the stream ends before byte " << at << " of " << down << " down");
    const Outcome outcome = train({.end_received_at = at});
    REQUIRE(outcome.reconnects == 1);
    REQUIRE(outcome == undisturbed);
  }
}

TEST_CASE("faults: a step made up for sends the same bytes, whatever the codec", "[split]") {
  for (const char* codec : {"q:4,rounding=stochastic", "slacc", "random_topk:0.3", "fedlite:1",
                            "transform:0.5", "coded(q:3)"}) {
    INFO(codec);
    const Outcome undisturbed = train({}, codec);
    const auto [up, down] = undisturbed_bytes(codec);
    // about the middle of each of the three steps
    for (const std::uint64_t part : {5u, 7u, 9u}) {
      const Outcome sent = train({.cut_sent_at = up * part / 10}, codec);
      CHECK(sent.reconnects == 1);
      CHECK(sent == undisturbed);
      const Outcome received = train({.cut_received_at = down * part / 10}, codec);
      CHECK(received.reconnects == 1);
      CHECK(received == undisturbed);
    }
  }
}

namespace {

/// A stage that takes its time.
struct Slow {
  std::chrono::milliseconds wait{};
  template <std::floating_point T>
  compress::CutBatch<T> operator()(compress::CutBatch<T> batch, Rng&) const {
    std::this_thread::sleep_for(wait);
    return batch;
  }
  std::string description() const { return "slow"; }
};

}  // namespace

TEST_CASE("deadlines: a step that takes longer than a write may does not fail in its own write",
          "[split][timing]") {
  const wire::SessionOptions impatient{.step_timeout = 5s, .write_timeout = 50ms};
  split::Server server{test::server_part(), test::SlowRule{.wait = 200ms}, {.session = impatient}};
  auto [client_end, server_end] = transport::memory_pair(512);  // so little that writes wait
  Serving serving{server, std::move(server_end)};
  split::Client client{test::client_part(),
                       optim::Adam{},
                       Slow{200ms},
                       std::move(client_end),
                       {.session = impatient}};
  CHECK(client.train_epoch(RandomBatches<float>{.left = 2}).steps == 2);
  client.close();
  serving.finish();
}

TEST_CASE("deadlines: own computing is not the peer's silence", "[split][timing]") {
  // Each party computes for longer than it is willing to wait, and waits for less than that.
  const auto trains = [](std::chrono::milliseconds at_client, std::chrono::milliseconds at_server,
                         const wire::SessionOptions& client_side,
                         const wire::SessionOptions& server_side) {
    split::Server server{
        test::server_part(), test::SlowRule{.wait = at_server}, {.session = server_side}};
    auto [client_end, server_end] = transport::memory_pair(512);  // so little that writes wait
    Serving serving{server, std::move(server_end)};
    split::Client client{test::client_part(),
                         optim::Adam{},
                         Slow{at_client},
                         std::move(client_end),
                         {.session = client_side}};
    client.train_epoch(RandomBatches<float>{.left = 2});
    client.close();
    serving.finish();
    return server.steps();
  };
  CHECK(trains(200ms, 0ms, {.step_timeout = 100ms}, {.step_timeout = 5s}) == 2);
  CHECK(trains(0ms, 200ms, {.step_timeout = 5s}, {.step_timeout = 100ms}) == 2);
}

TEST_CASE("failure: a party that has failed says so, and its state is what it was", "[split]") {
  // within the second step, which is as long as the first, but before the goodbye
  const auto [up_1, down_1] = undisturbed_bytes("slacc", 1);
  const auto [up_2, down_2] = undisturbed_bytes("slacc", 2);
  const std::uint64_t up = up_2 - wire::frame_header_bytes - (up_2 - up_1) / 2,
                      down = down_2 - (down_2 - down_1) / 2;
  for (const bool on_the_way_up : {true, false}) {
    Pair pair{"slacc"};
    transport::Faults faults;
    (on_the_way_up ? faults.cut_sent_at : faults.cut_received_at) = on_the_way_up ? up : down;
    split::Client client{test::client_part(), optim::Adam{}, compress::Identity{},
                         spec::parse_codec<float>("slacc"), pair.dial(faults)};
    const auto state = [&] {
      auto role = client.role();  // shares the weights
      return state_bytes(role);
    };
    RandomBatches<float> batches{.samples = 1};
    const auto first = batches.make(), second = batches.make();
    client.train_step(first.images, first.labels);
    const auto before = state();
    CHECK_THROWS_AS(client.train_step(second.images, second.labels), TransportError);
    CHECK(state() == before);
    CHECK_THROWS_WITH(client.train_step(second.images, second.labels),
                      ContainsSubstring("reconnect"));
    CHECK_THROWS_AS(client.fetch_server_part(), std::logic_error);
    CHECK_THROWS_AS(client.close(), std::logic_error);
    pair.hang_up();

    client.reconnect(pair.dial({}));
    if (!on_the_way_up) {
      // The server has applied the step, and the parts are not of one model.
      CHECK_THROWS_WITH(client.fetch_server_part(), ContainsSubstring("applied step 2"));
      CHECK_THROWS_AS(client.evaluate(RandomBatches<float>{}), std::logic_error);
      CHECK_THROWS_AS(client.close(), std::logic_error);
      const auto other = batches.make();
      CHECK_THROWS_WITH(client.train_step(other.images, other.labels),
                        ContainsSubstring("train the same batch again"));
    }
    CHECK(client.train_step(second.images, second.labels).step == 2);
    CHECK(client.traffic(split::Column::upkeep).total() > 0);
    CHECK_NOTHROW(client.fetch_server_part());
    client.close();
    pair.serving->finish();
  }
}

TEST_CASE("failure: a decoder that was given is not lost with the link", "[split]") {
  constexpr nn::BottleneckOptions options{.ratio = 0.5, .layers = 1};
  auto client_part = test::client_part();
  auto server_part = test::server_part();
  client_part.encoder = nn::make_encoder<float>(16, options, test::start);
  server_part.decoder = nn::make_decoder<float>(16, options, test::start);
  const auto decoder = nn::make_decoder<float>(16, options, Rng{.seed = 77});
  // A part for each client, as a program makes it that serves one after the other.
  split::Server<float> server{[&](const wire::Hello&) {
    return split::ServerRole<float>{
        std::make_shared<split::Learner<float>>(test::copy_of(server_part), optim::Adam{.lr = 0}),
        split::CutReceiver<float>{codec::Float32{}}};
  }};
  std::optional<Serving<split::Server<float>>> first, second;
  split::Client client{client_part, optim::Adam{.lr = 0}, compress::Identity{},
                       test::dial(server, first)};
  client.give_decoder(decoder);
  client.disconnect();
  CHECK_THROWS_AS(first->finish(), TransportError);
  client.reconnect(test::dial(server, second));
  client.train_epoch(RandomBatches<float>{.left = 1});
  CHECK(test::numbers_of<float>(*client.fetch_server_part().decoder) ==
        test::numbers_of<float>(decoder));
  client.close();
  second->finish();
}

TEST_CASE("failure: a client that does not read its answer ends its session alone",
          "[split][timing]") {
  split::Server server{test::server_part(), optim::Adam{}, {.session = {.write_timeout = 50ms}}};
  {
    auto [client_end, server_end] = transport::memory_pair(512);
    Serving serving{server, std::move(server_end)};
    test::RawClient client{std::move(client_end), test::small_settings("custom")};
    client.send(wire::MessageKind::fetch_weights);
    std::this_thread::sleep_for(300ms);
    std::vector<std::byte> rest(1 << 16);
    try {
      while (client.link.read_some(rest) > 0) {
      }
    } catch (const TransportError&) {
    }
    CHECK_THROWS_AS(serving.finish(), TransportError);
  }
  auto [client_end, server_end] = transport::memory_pair();
  Serving serving{server, std::move(server_end)};
  split::Client client{test::client_part(), optim::Adam{}, compress::Identity{},
                       std::move(client_end)};
  client.train_epoch(RandomBatches<float>{});
  client.close();
  serving.finish();
}

TEST_CASE("failure: a step that is not finite is not applied, at either party", "[split]") {
  // Infinite weights make the next step so. The client finds it before anything is sent, the
  // server before it answers.
  for (const bool at_client : {true, false}) {
    const auto schedule = [](std::uint64_t step) {
      return step == 0 ? 1e-3 : std::numeric_limits<double>::infinity();
    };
    split::TrainingOptions training{.schedule = schedule};
    split::Server server{test::server_part(),
                         optim::Adam{},
                         {.training = at_client ? split::TrainingOptions{} : training}};
    auto [client_end, server_end] = transport::memory_pair();
    Serving serving{server, std::move(server_end)};
    split::Client client{test::client_part(),
                         optim::Adam{},
                         compress::Identity{},
                         std::move(client_end),
                         {.training = at_client ? training : split::TrainingOptions{}}};
    RandomBatches<float> batches;
    const auto step = [&] {
      const auto batch = batches.make();
      client.train_step(batch.images, batch.labels);
    };
    CHECK_NOTHROW(step());
    CHECK_NOTHROW(step());  // weights become infinite
    const auto after = test::numbers_of<float>(client.part());
    CHECK_THROWS_AS(step(), WireError);
    const auto now = test::numbers_of<float>(client.part());
    CHECK(std::memcmp(now.data(), after.data(), now.size() * sizeof(float)) == 0);
    client.disconnect();
    CHECK_THROWS_AS(serving.finish(), ReasonedError);
  }
}

TEST_CASE("sessions: two at once on one server, each as if it were alone", "[split]") {
  // Each client has a part of its own at the server, a codec with state, and draws of its own.
  constexpr const char* codecs[] = {"slacc", "q:3,rounding=stochastic"};
  const auto codec_of = [&](std::uint32_t client) {
    return spec::parse_codec<float>(codecs[client]);
  };
  const auto run = [&](split::Server<float>& server, std::uint32_t number) {
    auto [client_end, server_end] = transport::memory_pair();
    Serving serving{server, std::move(server_end)};
    split::Client client{test::client_part(), optim::Adam{},         compress::adc(0.4),
                         codec_of(number),    std::move(client_end), {.seed = 7, .client = number}};
    RandomBatches<float> batches{.left = 8, .rng = {.seed = 100 + number}};
    client.train_epoch(batches);
    const auto other = client.fetch_server_part();
    client.close();
    serving.finish();
    auto numbers = test::numbers_of<float>(client.part());
    const auto more = test::numbers_of<float>(other);
    numbers.insert(numbers.end(), more.begin(), more.end());
    return numbers;
  };
  const auto make_server = [&] {
    return split::Server<float>{
        [&](const wire::Hello& hello) {
          return split::ServerRole<float>{
              std::make_shared<split::Learner<float>>(test::server_part(), optim::Adam{}),
              split::CutReceiver<float>{codec_of(hello.client), 7}};
        },
        split::ServerOptions{.seed = 7}};
  };
  std::array<std::vector<float>, 2> alone, together;
  for (std::uint32_t number : {0u, 1u}) {
    auto server = make_server();
    alone[number] = run(server, number);
  }
  auto server = make_server();
  {
    std::jthread other{[&] { together[1] = run(server, 1); }};
    together[0] = run(server, 0);
  }
  CHECK(together[0] == alone[0]);
  CHECK(together[1] == alone[1]);
  CHECK(alone[0] != alone[1]);
}

TEST_CASE("sessions: two that share one part take turns and lose no step", "[split]") {
  split::Server server{test::server_part(), optim::Adam{}};
  const auto run = [&](std::uint32_t number) {
    auto [client_end, server_end] = transport::memory_pair();
    Serving serving{server, std::move(server_end)};
    split::Client client{test::client_part(),
                         optim::Adam{},
                         compress::Identity{},
                         std::move(client_end),
                         {.client = number}};
    CHECK(client.train_epoch(RandomBatches<float>{.left = 10}).steps == 10);
    client.evaluate(RandomBatches<float>{});
    client.close();
    serving.finish();
  };
  {
    std::jthread other{[&] { run(1); }};
    run(0);
  }
  CHECK(server.steps() == 20);
}

TEST_CASE("sessions: an evaluation between steps leaves the bits of training alone", "[split]") {
  const auto train = [](bool evaluates) {
    Pair pair{"slacc"};
    split::Client client{test::client_part(), optim::Adam{}, compress::adc(0.5),
                         spec::parse_codec<float>("slacc"), pair.dial({})};
    RandomBatches<float> batches;
    for (int step = 0; step < steps; ++step) {
      const auto batch = batches.make();
      client.train_step(batch.images, batch.labels);
      if (evaluates) client.evaluate(RandomBatches<float>{.left = 1, .rng = {.seed = 9}});
    }
    client.close();
    pair.serving->finish();
    return std::pair{test::numbers_of<float>(client.part()),
                     test::numbers_of<float>(pair.server.part())};
  };
  CHECK(train(true) == train(false));
}

namespace {

/// A link that stays open for as long as somebody holds it.
struct SharedLink {
  std::shared_ptr<transport::MemoryLink> link;
  std::size_t read_some(std::span<std::byte> into) { return link->read_some(into); }
  std::size_t write_some(std::span<const std::byte> from) { return link->write_some(from); }
};

}  // namespace

TEST_CASE("sessions: a client that comes back ends its older connection", "[split]") {
  split::Server server{test::server_part(), optim::Adam{}};
  auto [first_end, first_server_end] = transport::memory_pair();
  // without deadlines, so that nothing wakes the server's older thread
  Serving older{server, test::WithoutDeadlines{std::move(first_server_end)}};
  SharedLink old{std::make_shared<transport::MemoryLink>(std::move(first_end))};
  split::Client client{test::client_part(), optim::Adam{}, compress::Identity{}, old};
  RandomBatches<float> batches;
  const auto first = batches.make(), second = batches.make();
  client.train_step(first.images, first.labels);
  // The old link stays open, and only the client knows that it is of no more use.
  auto [client_end, server_end] = transport::memory_pair();
  Serving again{server, std::move(server_end)};
  client.reconnect(std::move(client_end));
  client.train_step(second.images, second.labels);
  CHECK(server.steps() == 2);

  // The same step over the old link, where the server's older thread has not seen it.
  std::vector<std::byte> header, labels;
  wire::put_labels(std::vector<Index>{1}, 5, labels);
  split::ForwardMessage{.samples = 1, .tokens = 1, .labels = labels}.put_header(header);
  header.resize(header.size() + 16 * sizeof(float));
  wire::Outbox late;
  late.begin(1, wire::message_ceiling);
  const auto forward = [&] {
    late.queue(wire::MessageKind::forward, {2, 0}, std::array{wire::Bytes{header}});
    return test::drain(late);
  };
  forward();  // the client has sent its first step
  try {
    transport::write_all(old, forward());
  } catch (const TransportError&) {
    // The older thread was still about to wait when the newer connection came, and has ended.
  }
  try {
    older.finish();
    FAIL("the older connection went on");
  } catch (const WireError& error) {
    CHECK(error.reason() == Reason::superseded);
  }
  CHECK(server.steps() == 2);
  client.close();
  again.finish();
}
