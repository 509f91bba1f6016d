// SPDX-License-Identifier: MIT
#include <cstdlib>
#include <new>

#include <splitvit/wire/session.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/peers.hpp"
#include "support/sanitizer.hpp"

// A session when memory runs out. This program's operator new fails when it is told to; sanitizers
// bring their own, so there is nothing to test under them.

#if !SPLITVIT_SANITIZED

namespace {

thread_local long allocations_left = -1;  // before one fails; negative: none does

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t bytes) {
  if (allocations_left >= 0 && allocations_left-- == 0) throw std::bad_alloc{};
  if (void* const memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc{};
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace splitvit::wire {

TEST_CASE("Session: after prepare, commit needs no memory and cannot fail", "[wire]") {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{4096}, std::size_t{5000}, largest_frame - 12, largest_frame,
        2 * largest_frame + 1000, 3 * largest_frame + 5000}) {
    test::Peers peers;
    peers.connect();
    const auto reply = test::random_bytes(size);
    for (int step = 1; step <= 3; ++step) {
      peers.ask();
      peers.up();
      peers.server->new_reply() = reply;
      peers.server->prepare();
      allocations_left = 0;
      try {
        peers.server->commit();
      } catch (...) {
        allocations_left = -1;
        FAIL("commit failed");
      }
      allocations_left = -1;
      peers.down([&](const Event& event) { CHECK(std::ranges::equal(event.payload, reply)); });
      peers.client->commit();
    }
  }
}

TEST_CASE("Session: watching the time needs no memory", "[wire]") {
  using namespace std::chrono_literals;
  test::Peers peers{.client_options = {.heartbeat = 5s}, .server_options = {.heartbeat = 5s}};
  peers.connect();
  for (int heartbeat = 0; heartbeat < 3; ++heartbeat) {
    peers.now = peers.client->wake_at();
    allocations_left = 0;
    try {
      peers.client->listen(peers.now);
      peers.client->tick(peers.now);
      peers.client->tick(peers.now + 1s);
    } catch (...) {
      allocations_left = -1;
      FAIL("tick failed");
    }
    allocations_left = -1;
    CHECK(peers.client->output().size() == frame_header_bytes);
    peers.up();
  }
}

TEST_CASE("Session: any allocation that fails leaves each step applied once or not", "[wire]") {
  const auto contents = test::random_bytes(5000);
  long failed = 0;
  for (long nth = 0;; ++nth) {
    test::Peers peers;
    std::uint64_t applied_at_server = 0, applied_at_client = 0;
    bool applying = false;
    const auto train = [&] {
      peers.connect();
      while (peers.at_client.steps.last() < 3) {
        peers.ask(contents);
        peers.up([&](const Event& event) {
          peers.server->new_reply() = contents;
          peers.server->prepare();
          applying = true;
          if (event.at.step == applied_at_server + 1) applied_at_server = event.at.step;
          peers.server->commit();
          applying = false;
        });
        peers.down();
        peers.client->prepare();
        applying = true;
        applied_at_client += 1;
        peers.client->commit();
        applying = false;
      }
    };
    allocations_left = nth;
    bool out_of_memory = false;
    try {
      train();
    } catch (const std::bad_alloc&) {
      out_of_memory = true;
    }
    allocations_left = -1;
    REQUIRE_FALSE(applying);
    REQUIRE(applied_at_server == peers.at_server.steps.last());
    REQUIRE(applied_at_client == peers.at_client.steps.last());
    if (!out_of_memory) break;
    ++failed;
    train();
    REQUIRE(applied_at_server == 3);
    REQUIRE(applied_at_client == 3);
    for (const MessageKind kind : {MessageKind::hello, MessageKind::welcome})
      REQUIRE(peers.at_client.sent.of(kind).messages + peers.at_server.sent.of(kind).messages == 1);
    REQUIRE(peers.at_client.sent.of(MessageKind::forward).messages == 3);
    REQUIRE(peers.at_server.sent.of(MessageKind::backward).messages == 3);
  }
  CHECK(failed > 20);
}

}  // namespace splitvit::wire

#endif
