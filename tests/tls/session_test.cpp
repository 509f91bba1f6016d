// SPDX-License-Identifier: MIT
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <splitvit/compress/then.hpp>
#include <splitvit/core/state.hpp>
#include <splitvit/io/checkpoint_policy.hpp>
#include <splitvit/split/checkpoints.hpp>
#include <splitvit/split/client.hpp>
#include <splitvit/split/server.hpp>
#include <splitvit/split/service.hpp>
#include <splitvit/transport/simulated.hpp>
#include <splitvit/transport/tcp.hpp>
#include <splitvit/transport/tls.hpp>

#include "split/loopback.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "tls/pairs.hpp"

// Split training over protected links.

using namespace splitvit;
using namespace splitvit::transport;
using namespace std::chrono_literals;
using split::SessionEvent;
using test::Authority;
using test::Contexts;
using test::RecordingLink;

namespace {

using Server = split::Server<float>;
using Client = split::Client<float>;
using Serving = test::Serving<Server>;

const wire::SessionOptions hasty{.handshake_timeout = 1s, .heartbeat = 200ms};

Client new_client() {
  return Client{
      split::ClientRole<float>{split::Learner<float>{test::client_part(), optim::Adam{}},
                               split::CutSender<float>{compress::Identity{}, codec::Float32{}, 0}},
      {.session = hasty}};
}

void step(Client& client) {
  auto batch = test::RandomBatches<float>{.rng = {.seed = client.steps()}}.make();
  client.train_step(std::move(batch.images), batch.labels);
}

/// A server, and links to it.
struct Parties {
  Server server{test::server_part(), optim::Adam{}, {.session = hasty}};
  std::optional<Serving> serving;

  /// A protected link. `below` makes the client's end of what is below it.
  template <class Below>
  AnyLink dial(const Contexts& contexts, Below below) {
    auto [client_end, server_end] = memory_pair();
    serving.emplace(server, AnyLink{TlsLink{std::move(server_end), contexts.server}});
    return TlsLink{below(std::move(client_end)), contexts.client};
  }
  AnyLink dial(const Contexts& contexts) {
    return dial(contexts, [](MemoryLink link) { return link; });
  }
  /// The link has ended, for whatever reason.
  void hang_up(Client& client) {
    client.disconnect();
    if (serving) test::reason_of([&] { serving->finish(); });
    serving.reset();
  }
  std::vector<float> finish(Client& client) {
    client.close();
    serving->finish();
    auto all = test::numbers_of<float>(client.part());
    const auto more = test::numbers_of<float>(server.part());
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

/// The weights after three steps.
std::vector<float> train(Parties& parties, AnyLink link) {
  Client client = new_client();
  client.reconnect(std::move(link));
  for (int i = 0; i < 3; ++i) step(client);
  return parties.finish(client);
}

/// All sequences of eight bytes.
std::multiset<std::uint64_t> eights_of(const std::vector<std::byte>& bytes) {
  std::multiset<std::uint64_t> all;
  for (std::size_t at = 0; at + 8 <= bytes.size(); ++at) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, bytes.data() + at, 8);
    all.insert(eight);
  }
  return all;
}

std::string refusal(Client& client, AnyLink link) {
  std::string text;
  test::reason_of([&] { client.reconnect(std::move(link)); }, &text);
  return text;
}

}  // namespace

TEST_CASE("TLS: the same weights, and nothing of them on the wire", "[tls]") {
  std::shared_ptr<RecordingLink::Record> plain, hidden;
  Parties without, with;
  auto [client_end, server_end] = memory_pair();
  without.serving.emplace(without.server, AnyLink{std::move(server_end)});
  RecordingLink recorded{std::move(client_end)};
  plain = recorded.record();
  const auto expected = train(without, AnyLink{std::move(recorded)});

  const test::SharedKey key;
  const auto weights = train(with, with.dial(Contexts{key}, [&](MemoryLink link) {
    RecordingLink below{std::move(link)};
    hidden = below.record();
    return below;
  }));
  CHECK(weights == expected);
  CHECK(hidden->bytes.size() > plain->bytes.size());
  const auto in_plain = eights_of(plain->bytes), in_hidden = eights_of(hidden->bytes);
  std::size_t found = 0;
  for (const std::uint64_t eight : in_plain) found += in_hidden.count(eight);
  CHECK(found == 0);
  // The search finds what is there: these weights pass in the plain record, for example.
  const auto again =
      eights_of(std::vector<std::byte>(plain->bytes.begin() + 500, plain->bytes.begin() + 600));
  for (const std::uint64_t eight : again) CHECK(in_plain.count(eight) > 0);
}

TEST_CASE("TLS: a flipped bit ends the link, and the session goes on with the same weights",
          "[tls]") {
  const test::SharedKey key;
  const Contexts contexts{key};
  Parties undisturbed;
  const auto expected = train(undisturbed, undisturbed.dial(contexts));
  int broken = 0;
  for (const std::uint64_t byte : {20u, 150u, 330u, 420u, 700u, 1500u, 3001u, 4502u})
    for (const bool sent : {false, true}) {
      INFO((sent ? "sent byte " : "received byte ") << byte);
      Parties parties;
      Client client = new_client();
      Faults faults;
      (sent ? faults.flip_sent_bit : faults.flip_received_bit) = 8 * byte + 5;
      int links = 0;
      while (client.steps() < 3) {
        REQUIRE(links < 4);
        try {
          if (!parties.serving)
            client.reconnect(parties.dial(contexts, [&](MemoryLink link) {
              return Simulated{std::move(link), {}, links++ == 0 ? faults : Faults{}};
            }));
          step(client);
        } catch (const ReasonedError&) {
          parties.hang_up(client);
        }
      }
      broken += links - 1;
      CHECK(parties.finish(client) == expected);
    }
  CHECK(broken >= 14);  // a bit of a version may mean nothing
}

TEST_CASE("TLS: a session belongs to the certificate that began it", "[tls]") {
  Authority authority;
  const support::TemporaryFolder folder;
  const auto of_server = authority.party({.name = "server", .alternatives = "DNS:here"});
  const Contexts a{authority.party({.name = "a"}, "here"), of_server};
  const Contexts b{authority.party({.name = "b"}, "here"), of_server};
  const auto keep = [&](Server& server) {
    server.keep_checkpoints([&](const wire::Hello&) {
      return std::make_shared<split::Checkpoints>(folder.path() / "server", io::EveryStep{},
                                                  split::CheckpointOptions{.resume = true});
    });
  };
  std::optional<Parties> parties{std::in_place};
  keep(parties->server);
  Client client = new_client();
  client.reconnect(parties->dial(a));
  step(client);
  parties->hang_up(client);

  Client thief = new_client();  // knows all that the client knows, but for its key
  set_state_bytes(thief, state_bytes(client));
  const std::string wanted = ", the server has a session of another one";
  for (const bool restarted : {false, true}) {
    INFO("server restarted: " << restarted);
    if (restarted) {
      parties.emplace();
      keep(parties->server);
    }
    CHECK(refusal(thief, parties->dial(b)) ==
          "handshake refused: identity: the client has CN=b" + wanted);
    parties->hang_up(thief);
    auto [client_end, server_end] = memory_pair();
    parties->serving.emplace(parties->server, AnyLink{std::move(server_end)});
    CHECK(refusal(thief, std::move(client_end)) ==
          "handshake refused: identity: the client has none" + wanted);
    parties->hang_up(thief);
    client.reconnect(parties->dial(a));
    step(client);
    parties->hang_up(client);
  }
  CHECK(client.steps() == 3);
}

namespace {

/// A service behind protected links, until the test ends.
struct ProtectedService {
  explicit ProtectedService(const TlsContext& context)
      : listener{TcpListener{}, context},
        thread{[this] { service.run(listener, [this] { return !is_over; }); }} {}
  ~ProtectedService() { is_over = true; }

  TcpLink dial() { return connect_tcp(listener.endpoint()); }
  /// Trains one step.
  void train(const Contexts& contexts) {
    Client client = new_client();
    client.reconnect(TlsLink{dial(), contexts.client});
    step(client);
    client.close();
  }
  std::string first_refusal() {
    for (int tries = 0; tries < 500; ++tries) {
      {
        const std::lock_guard lock{guard};
        if (!refusals.empty()) return refusals.front();
      }
      std::this_thread::sleep_for(10ms);
    }
    return "no refusal";
  }

  std::mutex guard;  // of refusals
  std::vector<std::string> refusals;
  std::atomic<bool> is_over = false;
  TlsListener<TcpListener> listener;
  Server server{[](const wire::Hello&) {
                  return split::ServerRole<float>{
                      std::make_shared<split::Learner<float>>(test::server_part(), optim::Adam{}),
                      split::CutReceiver<float>{codec::Float32{}}};
                },
                {.session = hasty}};
  split::Service<float> service{
      server, {.most_unadmitted = 8, .on_event = [this](const std::string&, const SessionEvent& e) {
                 const std::lock_guard lock{guard};
                 if (e.kind == SessionEvent::Kind::refused) refusals.push_back(e.reason);
               }}};
  std::jthread thread;
};

}  // namespace

TEST_CASE("TLS: a service serves whom it knows, and tells others apart", "[tls][timing]") {
  const test::SharedKey key, other{'6'};
  const Contexts contexts{key};
  std::string at_client;
  const auto ends_with = [](const std::string& text, const std::string& end) {
    INFO(text);
    CHECK(text.ends_with(end));
  };
  {
    ProtectedService serving{contexts.server};
    serving.train(contexts);
    Client client = new_client();
    at_client = refusal(client, TlsLink{serving.dial(), Contexts{other}.client});
    ends_with(at_client, ": it has another pre-shared key");
    ends_with(serving.first_refusal(), ": it has another pre-shared key");
    serving.train(contexts);
  }
  {
    ProtectedService serving{contexts.server};
    Client client = new_client();
    CHECK(refusal(client, serving.dial()) ==
          "frame header: these bytes are TLS, which this side does not use");
    ends_with(serving.first_refusal(), ": it does not use TLS");
    serving.train(contexts);
  }
  // The other way round: a server without TLS.
  Parties parties;
  auto [client_end, server_end] = memory_pair();
  parties.serving.emplace(parties.server, AnyLink{std::move(server_end)});
  Client client = new_client();
  CHECK(refusal(client, TlsLink{std::move(client_end), contexts.client}) ==
        "TLS with the peer: it does not use TLS");
  CHECK_THROWS_WITH(parties.serving->finish(),
                    "frame header: these bytes are TLS, which this side does not use");
}

TEST_CASE("TLS: handshakes that stop keep nobody out, and have a deadline", "[tls][timing]") {
  const test::SharedKey key;
  const Contexts contexts{key};
  ProtectedService serving{contexts.server};
  TlsEngine half{contexts.client};
  half.handshake();
  const auto hello = half.output();
  std::vector<TcpLink> crowd;
  for (std::size_t i = 0; i < 30; ++i) {
    crowd.push_back(serving.dial());
    const std::size_t size = std::array{std::size_t{0}, hello.size() / 2, hello.size()}[i % 3];
    if (size > 0) write_all(crowd.back(), std::span{hello}.first(size));
  }
  serving.train(contexts);
  std::vector<std::byte> room(5000);
  for (TcpLink& link : crowd) {
    link.set_deadline(deadline_in(5s));
    const auto read_all = [&] {
      while (link.read_some(room) > 0) {
      }
    };
    CHECK(test::reason_of(read_all).value_or(Reason::closed) == Reason::closed);
  }
  serving.train(contexts);
}
