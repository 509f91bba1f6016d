// SPDX-License-Identifier: MIT

// Fuzz target: a session with a hostile peer, as a server that admits whatever hello it gets, and
// as a client that has said hello. Only our own errors may come out, memory must follow what has
// come, and steps are computed in order, each once.
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Itests
//       tests/fuzz/session.cpp -o session
//   ./session -malloc_limit_mb=4 -max_len=65536 <a new folder> tests/fuzz/corpus/session
//
// An input is a test::Recording; bit 1 of its choice is the role, bit 2 the limit. A client sends
// a step whenever it may.
// corpus/make_corpus.cpp makes the first inputs.

#include <algorithm>  // copy, min
#include <array>      // array
#include <chrono>     // milliseconds, seconds
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint8_t, uint64_t
#include <cstdlib>    // abort
#include <vector>     // vector

#include <splitvit/core/error.hpp>
#include <splitvit/wire/session.hpp>

#include "fuzz/recording.hpp"

namespace {

using namespace splitvit;
using wire::MessageKind;
using wire::Session;

void require(bool condition) {
  if (!condition) std::abort();
}

/// One side, its peer and the time that passes while bytes come.
class Fuzzed {
 public:
  Fuzzed(bool is_client, bool large)
      : is_client_{is_client},
        options_{.largest_message = large ? std::uint64_t{1} << 16 : wire::unadmitted_limit,
                 .heartbeat = std::chrono::seconds{2}},
        session_{is_client ? Session::client(state_, {{"cut", "2"}}, options_, now_, {3, 8})
                           : Session::server(options_, now_)} {
    write();
  }

  void take(wire::Bytes bytes) {
    while (!bytes.empty()) {
      const auto into = session_.space();
      require(!into.empty());
      const std::size_t n = std::min(into.size(), bytes.size());
      std::ranges::copy(bytes.first(n), into.begin());
      bytes = bytes.subspan(n);
      came_ += n;
      now_ += std::chrono::milliseconds{10};
      const auto event = session_.filled(n, now_);
      if (event) hear(*event);
      session_.tick(now_);
      write();
      if (is_client_ && session_.is_open() && asked_ == answered_) ask();
    }
  }

  /// Why it ends must be something to tell the peer.
  void fail(const ReasonedError& error) {
    session_.fail(error);
    write();
    require(session_.is_over());
  }

  ~Fuzzed() {
    require(state_.received.total().framed <= came_);
    require(state_.sent.total().framed <= written_ + wire::unadmitted_limit);
  }
  Fuzzed(const Fuzzed&) = delete;
  Fuzzed& operator=(const Fuzzed&) = delete;

 private:
  void hear(const wire::Event& event) {
    require(event.payload.size() <= came_);
    switch (event.kind) {
      case MessageKind::hello:
        require(!is_client_);
        // The peer says where it is, and this side is there, too.
        state_.steps.restart(session_.hello().last_step);
        session_.admit(state_, {3, 5});
        require(session_.is_open());
        break;
      case MessageKind::welcome:
        require(is_client_ && session_.is_open());
        require(session_.agreed().largest_message <= options_.largest_message);
        break;
      case MessageKind::forward: {
        require(!is_client_ && event.at == session_.next());
        const std::uint64_t last = state_.steps.last();
        session_.new_reply().assign(event.payload.begin(), event.payload.end());
        if (event.payload.size() % 4 == 1) {  // the step goes on
          session_.reply();
          require(state_.steps.last() == last);
        } else {
          session_.prepare();
          session_.commit();
          require(state_.steps.last() == last + 1);
        }
        break;
      }
      case MessageKind::backward:
        require(is_client_ && answered_ < asked_);
        ++answered_;
        if (event.payload.size() % 4 != 1) session_.commit();
        break;
      default:
        require(event.kind != MessageKind::refuse && event.kind != MessageKind::error &&
                event.kind != MessageKind::heartbeat);
    }
  }

  void ask() {
    const std::array<std::byte, 3> contents{};
    session_.send_step(std::array{wire::Bytes{contents}});
    ++asked_;
    write();
  }

  void write() {
    for (wire::Bytes out = session_.output(); !out.empty(); out = session_.output()) {
      written_ += out.size();
      session_.written(out.size(), now_);
    }
    // No more than a reply to each message, and nothing that grows by itself.
    require(written_ <= 70'000 * (came_ / wire::frame_header_bytes + 2) + 70'000);
  }

  bool is_client_;
  wire::SessionOptions options_;
  wire::Time now_{};
  wire::SessionState state_;
  Session session_;
  std::uint64_t came_ = 0, written_ = 0;
  std::uint64_t asked_ = 0, answered_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const test::Recording came{data, size};
  const std::size_t piece = came.piece();
  Fuzzed side{(came.choice & 2) != 0, (came.choice & 4) != 0};
  try {
    for (std::size_t at = 0; at < came.bytes.size(); at += piece)
      side.take(wire::Bytes{came.bytes}.subspan(at, std::min(piece, came.bytes.size() - at)));
  } catch (const WireError& error) {
    side.fail(error);
  } catch (const TransportError& error) {
    side.fail(error);
  }
  return 0;
}
