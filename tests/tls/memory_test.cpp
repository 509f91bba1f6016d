// SPDX-License-Identifier: MIT
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <openssl/crypto.h>

#include <splitvit/transport/tls.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "tls/pairs.hpp"

// What a stranger can make a server take before it is known.

using namespace splitvit;
using namespace splitvit::transport;
using test::Contexts;

namespace {

std::atomic<std::ptrdiff_t> held_by_openssl{0}, most_held{0};

void count(std::ptrdiff_t change) {
  const std::ptrdiff_t now = held_by_openssl += change;
  std::ptrdiff_t most = most_held;
  while (now > most && !most_held.compare_exchange_weak(most, now)) {
  }
}

/// In front of each block: its size.
constexpr std::size_t front = alignof(std::max_align_t);

void* counted_realloc(void* block, std::size_t size, const char*, int) {
  auto* const old = block == nullptr ? nullptr : static_cast<char*>(block) - front;
  std::size_t before = 0;
  if (old != nullptr) std::memcpy(&before, old, sizeof before);
  auto* const made = static_cast<char*>(std::realloc(old, size + front));
  if (made == nullptr) return nullptr;
  std::memcpy(made, &size, sizeof size);
  count(static_cast<std::ptrdiff_t>(size) - static_cast<std::ptrdiff_t>(before));
  return made + front;
}
void* counted_malloc(std::size_t size, const char* file, int line) {
  return counted_realloc(nullptr, size, file, line);
}
void counted_free(void* block, const char*, int) {
  if (block == nullptr) return;
  char* const made = static_cast<char*>(block) - front;
  std::size_t size = 0;
  std::memcpy(&size, made, sizeof size);
  count(-static_cast<std::ptrdiff_t>(size));
  std::free(made);
}

// Only before OpenSSL has taken any memory.
const bool is_counted =
    CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free) == 1;

/// The most that `work` held at once.
std::ptrdiff_t most_of(const auto& work) {
  const std::ptrdiff_t before = held_by_openssl;
  most_held = before;
  work();
  return most_held - before;
}

/// What a side holds while it waits for the next bytes of a handshake, and the most at once.
struct Watched {
  std::ptrdiff_t held = 0, most_waiting = 0, most_at_once = 0;

  /// `work` returns whether the handshake is complete.
  void operator()(const auto& work) {
    const std::ptrdiff_t before = held_by_openssl;
    bool is_open = false;
    most_at_once = std::max(most_at_once, held + most_of([&] { is_open = work(); }));
    held += held_by_openssl - before;
    if (!is_open) most_waiting = std::max(most_waiting, held);
  }
};

/// Newer versions have larger objects; how large was not measured.
constexpr std::ptrdiff_t allowed = (OPENSSL_VERSION_NUMBER < 0x30200000L ? 63 : 96) << 10;

/// A record with the first bytes of a message that claims to have so many.
std::vector<std::byte> claim(int size, std::size_t come) {
  auto bytes = test::bytes_of({22, 3, 1, static_cast<int>(come / 256), static_cast<int>(come % 256),
                               1, size / 65536, size / 256 % 256, size % 256});
  bytes.resize(5 + come);
  return bytes;
}

}  // namespace

TEST_CASE("TlsEngine: a handshake holds little memory, which is given back", "[tls]") {
  REQUIRE(is_counted);
  std::string many_names = "DNS:client";
  for (int i = 0; i < 600; ++i) many_names += ",DNS:a-long-name-" + std::to_string(i);
  test::Authority authority;
  const auto of_server = authority.party({.name = "server", .alternatives = "DNS:here"});
  const test::SharedKey key;
  for (const Contexts& contexts :
       {Contexts{key}, Contexts{authority.party({.name = "client"}, "here"), of_server},
        Contexts{authority.party({.name = "client", .alternatives = many_names.c_str()}, "here"),
                 of_server}}) {
    // What OpenSSL keeps for ever is there after the first time.
    for (const bool is_first : {true, false}) {
      TlsEngine client{contexts.client};
      std::optional<TlsEngine> server;
      Watched watched;
      watched([&] {
        server.emplace(contexts.server);
        return false;
      });
      while (!server->is_open()) {
        client.handshake();
        const auto to_server = client.output();
        REQUIRE(!to_server.empty());
        for (std::size_t at = 0; at < to_server.size() && !server->is_open(); at += 500)
          watched([&] {
            const std::size_t n = std::min<std::size_t>(500, to_server.size() - at);
            server->received(std::span{to_server}.subspan(at, n));
            return server->handshake();
          });
        client.received(server->output());
      }
      watched([&] {
        server.reset();
        return true;
      });
      INFO("waiting " << watched.most_waiting << ", at once " << watched.most_at_once);
      if (is_first) continue;
      CHECK(watched.most_waiting < allowed);
      CHECK(watched.most_at_once < 4 * allowed);
      CHECK(watched.held <= 0);
    }
  }
}

TEST_CASE("TlsEngine: a message that claims to be long is refused before memory is taken",
          "[tls]") {
  const test::SharedKey key;
  const Contexts contexts{key};
  const auto reason = [&](const std::vector<std::byte>& bytes, std::size_t piece) {
    std::optional<TlsEngine> server;
    Watched watched;
    watched([&] {
      server.emplace(contexts.server);
      return false;
    });
    const auto reason = test::reason_of([&] {
      for (std::size_t at = 0; at < bytes.size(); at += piece)
        watched([&] {
          server->received(std::span{bytes}.subspan(at, std::min(piece, bytes.size() - at)));
          return server->handshake();
        });
    });
    CHECK(watched.most_waiting < allowed);
    return reason;
  };
  for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{1000}}) {
    CHECK(reason(claim(131'000, 4), piece) == Reason::link_failed);
    CHECK(reason(claim(16'385, 1000), piece) == Reason::link_failed);
    CHECK(reason(claim(16'384, 16'000), piece) == std::nullopt);
    auto cut = claim(16'384, 16'000);
    cut.resize(15'000);  // in the middle of a record
    CHECK(reason(cut, piece) == std::nullopt);
    // In two records, of which the first has a part of the length only.
    auto parts = claim(131'000, 2);
    const auto rest = test::bytes_of({22, 3, 1, 0, 2, 0xFF, 0xB8});
    parts.insert(parts.end(), rest.begin(), rest.end());
    CHECK(reason(parts, piece) == Reason::link_failed);
  }
}
