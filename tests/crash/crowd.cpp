// SPDX-License-Identifier: MIT
// crowd PORT N: keeps N connections to 127.0.0.1:PORT that never become clients: a third of them is
// silent, a third sends the beginning of a hello, a byte a second, and a third sends garbage. One
// that is closed comes back a second later. On SIGTERM it says how often connections were made.
#include <algorithm>  // min
#include <array>      // array
#include <cerrno>     // errno
#include <chrono>     // steady_clock
#include <csignal>    // signal, SIGTERM
#include <cstdio>     // printf
#include <cstdlib>    // atoi
#include <vector>     // vector

#include <arpa/inet.h>     // htonl, htons
#include <netinet/in.h>    // sockaddr_in
#include <poll.h>          // poll
#include <sys/resource.h>  // setrlimit
#include <sys/socket.h>    // connect, recv, send, socket
#include <unistd.h>        // close

#include <splitvit/wire/handshake.hpp>  // Hello, hello_payload
#include <splitvit/wire/outbox.hpp>     // Outbox

#include "support/drain.hpp"  // drain

namespace sv = splitvit;
using Clock = std::chrono::steady_clock;

namespace {

volatile std::sig_atomic_t is_over = 0;

enum class Kind { silent, dribbling, garbage };

struct Stranger {
  Kind kind;
  int socket = -1;
  std::size_t sent = 0;
  Clock::time_point next;  // when it connects, or sends
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::signal(SIGTERM, [](int) { is_over = 1; });
  std::signal(SIGPIPE, SIG_IGN);
  rlimit most{};
  ::getrlimit(RLIMIT_NOFILE, &most);
  most.rlim_cur = most.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &most);

  sockaddr_in server{};
  server.sin_family = AF_INET;
  server.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[1])));
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sv::wire::Outbox outbox;
  outbox.queue(sv::wire::MessageKind::hello,
               std::array{sv::wire::Bytes{sv::wire::hello_payload({})}});
  const auto hello = sv::test::drain(outbox);
  const std::vector<std::byte> garbage(100);

  std::vector<Stranger> strangers;
  for (int i = 0; i < std::atoi(argv[2]); ++i)
    strangers.push_back({.kind = static_cast<Kind>(i % 3), .next = Clock::now()});
  long made = 0;
  while (is_over == 0) {
    std::vector<pollfd> all;
    for (Stranger& one : strangers) {
      const auto now = Clock::now();
      if (now >= one.next && one.socket < 0) {
        one.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        ::connect(one.socket, reinterpret_cast<const sockaddr*>(&server), sizeof server);
        one.sent = 0;
        one.next = now + std::chrono::seconds{1};
        ++made;
      } else if (now >= one.next) {
        const auto& bytes = one.kind == Kind::garbage ? garbage : hello;
        const std::size_t n = one.kind == Kind::garbage ? bytes.size() : 1;
        if (one.kind != Kind::silent && one.sent + n < hello.size())
          ::send(one.socket, bytes.data() + std::min(one.sent, bytes.size() - n), n, 0);
        one.sent += n;
        one.next = now + std::chrono::seconds{1};
      }
      all.push_back({.fd = one.socket, .events = POLLIN, .revents = 0});
    }
    if (::poll(all.data(), all.size(), 10) <= 0) continue;
    for (std::size_t i = 0; i < all.size(); ++i) {
      std::array<char, 4096> waste{};
      if (all[i].revents == 0) continue;
      const auto n = ::recv(all[i].fd, waste.data(), waste.size(), MSG_DONTWAIT);
      if (n > 0 || (n < 0 && errno == EAGAIN)) continue;
      ::close(all[i].fd);
      strangers[i].socket = -1;
      strangers[i].next = Clock::now() + std::chrono::seconds{1};
    }
    const timespec pause{.tv_sec = 0, .tv_nsec = 5'000'000};
    ::nanosleep(&pause, nullptr);
  }
  std::printf("%ld connections\n", made);
}
