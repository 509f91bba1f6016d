// SPDX-License-Identifier: MIT
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <splitvit/split/service.hpp>
#include <splitvit/transport/tcp.hpp>
#include <splitvit/wire/frame.hpp>
#include <splitvit/wire/handshake.hpp>
#include <splitvit/wire/outbox.hpp>

#include "split/group.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/drain.hpp"

// Clients of a group among strangers who connect to the same port, over TCP.

using namespace splitvit;
using namespace std::chrono_literals;
using split::SessionEvent;
using test::ClientGroup;

namespace {

constexpr std::uint32_t most_clients = 56;

std::vector<std::byte> framed(wire::MessageKind kind, const std::vector<std::byte>& payload) {
  wire::Outbox outbox;
  outbox.begin(0, 1 << 20);
  outbox.queue(kind, std::array{wire::Bytes{payload}});
  return test::drain(outbox);
}

/// A client's hello with all that the server wants to hear, and a forward message of its step 7.
std::vector<std::byte> claims_to_be(const ClientGroup<float>& group, std::uint32_t client) {
  const wire::Hello hello{.client = client,
                          .settings = group.role().settings(group.client_options(client))};
  auto bytes = framed(wire::MessageKind::hello, wire::hello_payload(hello));
  const auto step = framed(wire::MessageKind::forward, {8, std::byte{7}});
  bytes.insert(bytes.end(), step.begin(), step.end());
  return bytes;
}

struct Stranger {
  std::vector<std::byte> bytes;
  bool is_slow = false;  // it sends one byte, waits, and sends the next one
  bool is_late = false;  // it comes once the training has begun
};

std::vector<Stranger> all_strangers(const ClientGroup<float>& group) {
  std::vector<std::byte> immense;
  wire::put_header(immense, {.kind = wire::MessageKind::hello, .length = ~std::uint32_t{0}});
  return {
      {.bytes = {}},  // says nothing
      {.bytes = claims_to_be(group, most_clients + 1), .is_slow = true},
      {.bytes = test::random_bytes(2000)},
      {.bytes = framed(wire::MessageKind::forward, {8, std::byte{7}})},
      {.bytes = immense},
      {.bytes = framed(wire::MessageKind::hello, std::vector<std::byte>(200, std::byte{0xFF}))},
      {.bytes = claims_to_be(group, most_clients + 1)},    // who is not registered
      {.bytes = claims_to_be(group, 1), .is_late = true},  // who is served already
  };
}

/// Comes again and again, until `is_over`.
void molest(const transport::Endpoint& server, const Stranger& stranger,
            const std::atomic<bool>& is_over) {
  const std::span<const std::byte> bytes{stranger.bytes};
  while (!is_over) {
    try {
      transport::TcpLink link = transport::connect_tcp(server);
      link.set_deadline(transport::deadline_in(500ms));
      if (!stranger.is_slow) transport::write_all(link, bytes);
      for (std::size_t i = 0; stranger.is_slow && i < bytes.size() && !is_over; ++i) {
        transport::write_all(link, bytes.subspan(i, 1));
        std::this_thread::sleep_for(20ms);
      }
      std::array<std::byte, 4096> answer{};
      while (!is_over && link.read_some(answer) > 0) {
      }
    } catch (const TransportError&) {  // the server has closed the link, or says nothing
    }
  }
}

}  // namespace

TEST_CASE("Service: 56 clients of a group among 8 hostile strangers train as they do alone",
          "[split][timing]") {
  ClientGroup<float> group{.steps = std::vector<std::uint64_t>(most_clients, 2), .per_turn = 1};
  const test::GroupResult alone = test::simulate(group);

  std::atomic<bool> is_over = false, has_begun = false, has_failed = false;
  group.options.on_step = [&](std::uint32_t, const split::StepReport&) { has_begun = true; };
  split::Server<float> server = group.server();
  std::array<std::atomic<int>, 5> events{};  // by kind
  const auto count = [&](SessionEvent::Kind kind) -> std::atomic<int>& {
    return events[static_cast<std::size_t>(kind)];
  };
  using Kind = SessionEvent::Kind;
  split::Service<float> service{
      server,
      {.at_once = most_clients,
       .on_event = [&](const std::string&, const SessionEvent& event) { ++count(event.kind); }}};
  transport::TcpListener listener;
  std::vector<std::unique_ptr<split::Client<float>>> clients(most_clients);
  std::vector<std::exception_ptr> errors(most_clients);
  {
    std::vector<std::jthread> strangers;
    {
      const std::jthread serving{[&] {
        service.run(listener, [&] {
          return count(Kind::ended) < static_cast<int>(most_clients) && !has_failed;
        });
      }};
      for (const Stranger& stranger : all_strangers(group))
        strangers.emplace_back([&, stranger] {
          while (stranger.is_late && !has_begun && !is_over) std::this_thread::sleep_for(1ms);
          molest(listener.endpoint(), stranger, is_over);
        });
      std::vector<std::jthread> threads;
      for (std::uint32_t i = 0; i < most_clients; ++i)
        threads.emplace_back([&, i] {
          try {
            clients[i] = std::make_unique<split::Client<float>>(
                group.role(), transport::connect_tcp(listener.endpoint()),
                group.client_options(i + 1));
            test::train_to_end(group, *clients[i], i + 1, [] { std::this_thread::sleep_for(1ms); });
          } catch (...) {
            errors[i] = std::current_exception();
            has_failed = true;
          }
        });
      threads.clear();
      is_over = true;
    }
  }
  for (const auto& error : errors)
    if (error) std::rethrow_exception(error);
  CHECK(count(Kind::began) == static_cast<int>(most_clients));
  CHECK(count(Kind::ended) == static_cast<int>(most_clients));
  CHECK(count(Kind::lost) + count(Kind::resumed) == 0);
  CHECK(count(Kind::refused) > 0);
  test::GroupResult result;
  for (const auto& client : clients) result.add(*client);
  result.add(server);
  CHECK((result == alone));
}
