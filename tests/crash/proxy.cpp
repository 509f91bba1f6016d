// SPDX-License-Identifier: MIT
// proxy HOST:PORT SEED FAULT...: passes connections on to HOST:PORT, each with the next one of
// these faults, again and again. A fault that has a number N happens at one of the first N bytes,
// by SEED:
//
//   none       cut:N    the connection breaks       flip:N   a bit of that byte is another one
//   delay:MS   each piece waits up to so long       twice:N  that byte is sent twice
//   pieces:N   of 1 to N bytes each                 stall:N  nothing passes from that byte on
//
// It prints where it listens, and then a line for each connection. tests/crash/links.sh uses it.
#include <charconv>   // from_chars
#include <chrono>     // hours
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint64_t
#include <cstdio>     // fflush, fprintf, printf
#include <exception>  // exception
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string
#include <thread>     // jthread, sleep_for, thread
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/core/error.hpp>           // ReasonedError
#include <splitvit/core/random.hpp>          // Rng
#include <splitvit/transport/endpoint.hpp>   // parse_endpoint
#include <splitvit/transport/simulated.hpp>  // Faults, Simulated
#include <splitvit/transport/tcp.hpp>        // TcpLink, TcpListener, connect_tcp

namespace sv = splitvit;
using Link = sv::transport::Simulated<sv::transport::TcpLink>;

namespace {

struct Fault {
  std::string kind;
  std::uint64_t number = 0;
};

Fault fault_of(const std::string& text) {
  const std::size_t colon = text.find(':');
  Fault fault{text.substr(0, colon)};
  if (colon != std::string::npos)
    std::from_chars(text.data() + colon + 1, text.data() + text.size(), fault.number);
  for (const char* known : {"none", "cut", "flip", "twice", "delay", "pieces", "stall"})
    if (fault.kind == known && (fault.number > 0) == (fault.kind != "none")) return fault;
  throw std::invalid_argument("no such fault: " + text);
}

/// Passes on what comes, and at most `most` bytes. At an end, the whole connection ends.
void pump(Link& from, Link& to, std::uint64_t most) {
  std::vector<std::byte> piece(1 << 16);
  try {
    while (true) {
      const std::size_t n = from.read_some(piece);
      if (n == 0) break;
      while (most < n) std::this_thread::sleep_for(std::chrono::hours{1});
      most -= n;
      sv::transport::write_all(to, std::span{piece}.first(n));
    }
  } catch (const sv::ReasonedError&) {
  }
  from.set_deadline({});  // the other direction ends, too
  to.set_deadline({});
}

/// One connection. `up` says which direction has the fault.
void pass(sv::transport::TcpLink client, const sv::transport::Endpoint& server, const Fault& fault,
          std::uint64_t at, bool up, sv::Rng draws) try {
  const bool stalls = fault.kind == "stall";
  sv::transport::Faults faults{.rng = draws};
  if (fault.kind == "cut") (up ? faults.cut_sent_at : faults.cut_received_at) = at;
  if (fault.kind == "flip")
    (up ? faults.flip_sent_bit : faults.flip_received_bit) = 8 * at + at % 8;
  if (fault.kind == "twice") faults.twice_sent_at = at;
  if (fault.kind == "pieces") faults.longest_piece = fault.number;
  if (fault.kind == "delay")
    faults.longest_delay_seconds = static_cast<double>(fault.number) / 1000.0;
  Link near{std::move(client)}, far{sv::transport::connect_tcp(server), {}, faults};
  const std::uint64_t never = sv::transport::Faults::never;
  const std::jthread upward{[&] { pump(near, far, stalls && up ? at : never); }};
  pump(far, near, stalls && !up ? at : never);
} catch (const sv::ReasonedError& error) {
  std::fprintf(stderr, "proxy: %s\n", error.what());
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 4) throw std::invalid_argument("usage: proxy HOST:PORT SEED FAULT...");
  const auto server = sv::transport::parse_endpoint(argv[1]);
  sv::Rng draws{.seed = std::stoull(argv[2])};
  std::vector<Fault> faults;
  for (int i = 3; i < argc; ++i) faults.push_back(fault_of(argv[i]));
  sv::transport::TcpListener listener;
  std::printf("listening on %s\n", listener.endpoint().text().c_str());
  for (std::size_t number = 0;; ++number) {
    std::fflush(stdout);
    const Fault& fault = faults[number % faults.size()];
    auto client = listener.accept();
    const auto at = static_cast<std::uint64_t>(
        fault.number == 0 ? 0 : draws.below(static_cast<sv::Index>(fault.number)));
    const bool up = fault.kind == "twice" || draws.below(2) == 0;
    std::printf("connection %zu: %s at byte %llu %s\n", number, fault.kind.c_str(),
                static_cast<unsigned long long>(at), up ? "up" : "down");
    std::thread{pass, std::move(client), server, fault, at, up, draws}.detach();
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "proxy: %s\n", error.what());
  return 2;
}
