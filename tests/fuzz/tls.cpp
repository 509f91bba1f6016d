// SPDX-License-Identifier: MIT

// Fuzz target: a TLS peer without the key, or with it. Without it, only our own errors may come
// out, nothing may be read, and answers stay small. With it, its bytes arrive as they were sent,
// also as a session, and a change on the way ends the link before a wrong byte is read.
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Itests
//       tests/fuzz/tls.cpp -lssl -lcrypto -o tls
//   ./tls -malloc_limit_mb=4 -max_len=4096 <a new folder> tests/fuzz/corpus/tls
//
// An input is a test::Recording; bit 1 of its choice is the role of this side, bit 2 says that the
// peer has the key. Then three bytes come first: where to change one on its way here, and how.

#include <algorithm>  // copy, equal, min
#include <array>      // array
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint8_t
#include <cstdlib>    // abort
#include <optional>   // optional
#include <span>       // span
#include <vector>     // vector

#include <splitvit/core/error.hpp>
#include <splitvit/transport/tls.hpp>
#include <splitvit/wire/session.hpp>

#include "fuzz/recording.hpp"
#include "support/certificates.hpp"

namespace {

using namespace splitvit;
using transport::TlsEngine;
using Bytes = std::vector<std::byte>;

void require(bool condition) {
  if (!condition) std::abort();
}

struct Contexts {
  test::SharedKey key;
  transport::TlsContext client{transport::TlsRole::client, key.options()};
  transport::TlsContext server{transport::TlsRole::server, key.options()};
};

/// What is read goes to a session that has not begun, as a server's does.
class Reader {
 public:
  void read_from(TlsEngine& side) {
    std::array<std::byte, 1000> room;
    while (const auto n = side.read(room)) {
      require(*n <= room.size());
      if (*n == 0) break;
      all.insert(all.end(), room.begin(), room.begin() + *n);
    }
  }
  void give_to_session() {
    try {
      std::span<const std::byte> left{all};
      while (!left.empty()) {
        const auto space = session_.space();
        const std::size_t n = std::min(space.size(), left.size());
        std::ranges::copy(left.first(n), space.begin());
        left = left.subspan(n);
        session_.filled(n, {});
      }
    } catch (const WireError&) {
    }
  }

  Bytes all;

 private:
  wire::Session session_ = wire::Session::server({}, {});
};

void without_key(TlsEngine& side, std::span<const std::byte> bytes, std::size_t piece) {
  std::size_t answered = 0;
  try {
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      side.handshake();
      side.received(bytes.subspan(at, std::min(piece, bytes.size() - at)));
      require(!side.handshake());
      answered += side.output().size();
    }
  } catch (const TransportError&) {
    require(side.has_failed());
  }
  answered += side.output().size();
  require(!side.is_open() && answered < 10'000);
}

void with_key(TlsEngine& side, TlsEngine& peer, std::span<const std::byte> bytes,
              std::size_t piece) {
  if (bytes.size() < 3) return;
  const std::size_t where =
      std::to_integer<std::size_t>(bytes[0]) * 8 + std::to_integer<std::size_t>(bytes[1]);
  const std::byte change = bytes[2];
  const auto sent = bytes.subspan(3);
  std::size_t passed = 0;
  bool is_changed = false;
  Reader reader;
  const auto to_side = [&](Bytes output) {
    if (change != std::byte{0} && where - passed < output.size()) {
      output[where - passed] ^= change;
      is_changed = true;
    }
    passed += output.size();
    for (std::size_t at = 0; at < output.size(); at += piece) {
      side.received(std::span{output}.subspan(at, std::min(piece, output.size() - at)));
      if (side.handshake()) reader.read_from(side);
    }
  };
  try {
    for (int turn = 0; turn < 3; ++turn) {
      peer.handshake();
      to_side(peer.output());
      side.handshake();
      peer.received(side.output());
    }
    if (!peer.handshake() || !side.is_open()) return require(is_changed);
    for (std::size_t at = 0; at < sent.size(); at += 3 * piece)
      peer.write(sent.subspan(at, std::min(3 * piece, sent.size() - at)));
    peer.end();
    to_side(peer.output());
    require(is_changed || reader.all.size() == sent.size());
  } catch (const TransportError&) {
    require(is_changed);
  }
  require(reader.all.size() <= sent.size());
  require(std::equal(reader.all.begin(), reader.all.end(), sent.begin()));
  reader.give_to_session();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static Contexts contexts;
  const test::Recording came{data, size};
  const bool is_client = (came.choice & 2) != 0;
  TlsEngine side{is_client ? contexts.client : contexts.server};
  TlsEngine peer{is_client ? contexts.server : contexts.client};
  if ((came.choice & 4) != 0)
    with_key(side, peer, came.bytes, came.piece());
  else
    without_key(side, came.bytes, came.piece());
  return 0;
}
