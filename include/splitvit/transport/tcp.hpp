// SPDX-License-Identifier: MIT
#pragma once

#if defined(_WIN32)
#error "splitvit/transport/tcp.hpp needs POSIX sockets; write a Transport of your own instead"
#endif

#include <algorithm>     // clamp, find, min, stable_partition
#include <atomic>        // atomic
#include <cerrno>        // errno
#include <chrono>        // milliseconds, nanoseconds, seconds
#include <memory>        // make_unique, unique_ptr
#include <system_error>  // generic_category
#include <thread>        // sleep_for

#include <fcntl.h>        // fcntl
#include <netdb.h>        // getaddrinfo, getnameinfo
#include <netinet/in.h>   // IPPROTO_TCP
#include <netinet/tcp.h>  // TCP_NODELAY, TCP_USER_TIMEOUT
#include <poll.h>         // poll
#include <sys/socket.h>   // socket
#include <unistd.h>       // close, pipe

#include <splitvit/core/error.hpp>          // Reason, TransportError
#include <splitvit/transport/concepts.hpp>  // Clock, Deadline
#include <splitvit/transport/endpoint.hpp>  // Endpoint, parse_endpoint

namespace splitvit::inline SPLITVIT_BUILD::transport {

struct ConnectOptions {
  std::chrono::nanoseconds timeout = std::chrono::seconds{10};  ///< for one attempt
  std::chrono::nanoseconds retry_for{0};  ///< retry for this long while nobody listens
  std::chrono::nanoseconds write_stall = std::chrono::seconds{10};  ///< see TcpLink
};

struct ListenOptions {
  int backlog = 128;  ///< how many peers may wait to be accepted
  std::chrono::nanoseconds write_stall = std::chrono::seconds{10};  ///< see TcpLink
};

namespace detail {
/// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_{fd} {}
  Descriptor(Descriptor&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

/// The reason for an errno value.
inline TransportError socket_error(int error, const std::string& what) {
  const Reason reason = error == EPIPE || error == ECONNRESET ? Reason::closed
                        : error == ETIMEDOUT                  ? Reason::timed_out
                                                              : Reason::link_failed;
  return {reason, {what, ": ", std::generic_category().message(error)}};
}

/// Whether accept(2) reports that a waiting peer, or its network, is gone.
inline bool lost_before_accept(int error) {
  constexpr std::array errors{EAGAIN, EWOULDBLOCK, EINTR,       ECONNABORTED, EPROTO,
                              EPERM,  ENETDOWN,    ENETUNREACH, EHOSTDOWN,    EHOSTUNREACH};
  return std::ranges::find(errors, error) != errors.end();
}

inline void prepare(int fd, const std::string& what) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
      ::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
    throw socket_error(errno, what);
#if defined(SO_NOSIGPIPE)
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on));
#endif
}

/// A time in milliseconds as the system takes it: rounded up, from `least` to an hour.
inline int system_ms(std::chrono::nanoseconds time, int least) {
  const auto count = std::chrono::ceil<std::chrono::milliseconds>(time).count();
  return static_cast<int>(std::clamp<std::int64_t>(count, least, 3'600'000));
}

/// Waits until `fd` is ready or `wake`, if any, can be read. Returns false at the deadline.
inline bool wait_ready(int fd, short events, Deadline deadline, int wake = -1) {
  while (true) {
    const int wait = deadline == no_deadline ? -1 : system_ms(deadline - Clock::now(), 0);
    std::array<pollfd, 2> both{{{fd, events, 0}, {wake, POLLIN, 0}}};
    const int ready = ::poll(both.data(), 2, wait);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) throw socket_error(errno, "poll");
    if (ready == 0 && Clock::now() >= deadline) return false;
  }
}

/// The addresses of a host and port, as a list. "localhost" is this machine also where no file
/// says so, as in a bare container (RFC 6761, 6.3).
inline std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses_of(const Endpoint& endpoint) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* first = nullptr;
  const char* const host = endpoint.host == "localhost" ? nullptr : endpoint.host.c_str();
  const int failed = ::getaddrinfo(host, std::to_string(endpoint.port).c_str(), &hints, &first);
  if (failed != 0)
    throw TransportError(Reason::cannot_connect,
                         {endpoint, ": no such host: ", ::gai_strerror(failed)});
  return {first, ::freeaddrinfo};
}

/// The numeric address of one end of a socket: `ask` is getsockname or getpeername.
template <class Ask>
Endpoint address_of(int fd, const Ask& ask) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (ask(fd, generic, &size) != 0 ||
      ::getnameinfo(generic, size, host.data(), host.size(), port.data(), port.size(),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return {.host = "unknown", .port = 0};
  return {.host = host.data(), .port = static_cast<std::uint16_t>(std::stoi(port.data()))};
}

/// Connects a new socket to an address until the deadline. Returns the errno value, 0 for success.
inline int connect(int fd, const addrinfo& to, Deadline deadline, const std::string& what) {
  prepare(fd, what);
  int error = ::connect(fd, to.ai_addr, to.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS || error == EINTR) {
    socklen_t size = sizeof(error);
    if (!wait_ready(fd, POLLOUT, deadline)) return ETIMEDOUT;
    if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  }
  // When nobody listens on a port of the range for callers, a socket may meet itself.
  const bool is_own = error == 0 && address_of(fd, ::getsockname) == address_of(fd, ::getpeername);
  return is_own ? ECONNREFUSED : error;
}
}  // namespace detail

/// A TCP connection, neither secret nor authenticated. Models Transport and HasDeadline. Reading
/// waits until the deadline; there is none at first. Writing waits until the deadline, but at most
/// `write_stall` while the peer takes no byte. After destruction the peer can read what was
/// written, then the end.
class TcpLink {
 public:
  std::size_t read_some(std::span<std::byte> into) {
    while (true) {
      const auto n = ::recv(fd(), into.data(), into.size(), 0);
      if (n >= 0) return static_cast<std::size_t>(n);
      again_or_throw("reading");
      wait(POLLIN, deadline(), "the peer was silent until the deadline");
    }
  }

  std::size_t write_some(std::span<const std::byte> from) {
    while (true) {
      const auto n = ::send(fd(), from.data(), from.size(), no_signal);
      if (n >= 0) return static_cast<std::size_t>(n);
      again_or_throw("writing");
      wait(POLLOUT, std::min(deadline(), deadline_in(state_->write_stall)),
           "the peer took no byte in time");
    }
  }

  void set_deadline(Deadline when) { state_->deadline.store(when.time_since_epoch().count()); }

  /// The address of the other side, such as "127.0.0.1:7000".
  const std::string& peer() const { return state_->peer; }

 private:
  friend class TcpListener;
  friend TcpLink connect_tcp(const Endpoint& to, const ConnectOptions& options);

#if defined(MSG_NOSIGNAL)
  static constexpr int no_signal = MSG_NOSIGNAL;
#else
  static constexpr int no_signal = 0;  // SO_NOSIGPIPE was set instead
#endif

  struct State {
    State(detail::Descriptor descriptor, std::chrono::nanoseconds stall)
        : fd{std::move(descriptor)}, write_stall{stall} {}
    ~State() {
      ::shutdown(fd.get(), SHUT_WR);
      // A close with unread bytes would throw away what is still on its way to the peer, so take
      // what is there. Bounded: a peer may go on sending.
      std::array<std::byte, 4096> waste;
      for (int i = 0; i < 64; ++i)
        if (::recv(fd.get(), waste.data(), waste.size(), 0) <= 0) break;
    }

    detail::Descriptor fd;
    std::chrono::nanoseconds write_stall;
    std::string peer = detail::address_of(fd.get(), ::getpeername).text();
    std::atomic<Clock::rep> deadline{no_deadline.time_since_epoch().count()};
  };

  TcpLink(detail::Descriptor fd, std::chrono::nanoseconds write_stall)
      : state_{std::make_unique<State>(std::move(fd), write_stall)} {
    const int on = 1;  // a message is written in one go, so waiting for more only costs time
    ::setsockopt(this->fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
#if defined(TCP_USER_TIMEOUT)
    const int limit = detail::system_ms(write_stall, 1);
    ::setsockopt(this->fd(), IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof(limit));
#endif
  }

  int fd() const { return state_->fd.get(); }
  Deadline deadline() const { return Deadline{Clock::duration{state_->deadline.load()}}; }

  void again_or_throw(const char* what) const {
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
      throw detail::socket_error(errno, "connection to " + peer() + ": " + what);
  }
  void wait(short events, Deadline until, const char* what) const {
    if (!detail::wait_ready(fd(), events, until))
      throw TransportError(Reason::timed_out, {"connection to ", peer(), ": ", what});
  }

  std::unique_ptr<State> state_;
};

/// Waits for peers on one address: on loopback, unless another host is named. Of a name's
/// addresses, IPv4 comes first, so that localhost is where callers of 127.0.0.1 look, too.
class TcpListener {
 public:
  /// Errors  TransportError: cannot_connect for no such host, link_failed for a taken address.
  explicit TcpListener(const Endpoint& on = {}, const ListenOptions& options = {})
      : write_stall_{options.write_stall} {
    const std::string what = "listening on " + on.text();
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) throw detail::socket_error(errno, what);
    wake_read_ = detail::Descriptor{ends[0]};
    wake_write_ = detail::Descriptor{ends[1]};
    detail::prepare(ends[0], what);
    detail::prepare(ends[1], what);

    const auto addresses = detail::addresses_of(on);
    int error = 0;
    std::vector<const addrinfo*> order;
    for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) order.push_back(at);
    std::stable_partition(order.begin(), order.end(),
                          [](const addrinfo* at) { return at->ai_family == AF_INET; });
    for (const addrinfo* const at : order) {
      fd_ = detail::Descriptor{::socket(at->ai_family, at->ai_socktype, at->ai_protocol)};
      const int yes = 1;
      if (fd_.get() >= 0 &&
          ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
          ::bind(fd_.get(), at->ai_addr, at->ai_addrlen) == 0 &&
          ::listen(fd_.get(), options.backlog) == 0) {
        detail::prepare(fd_.get(), what);
        endpoint_ = detail::address_of(fd_.get(), ::getsockname);
        return;
      }
      error = errno;
    }
    if (error == EADDRNOTAVAIL)
      throw TransportError(Reason::link_failed,
                           {what, ": no address of this machine; 0.0.0.0 stands for all it has"});
    throw detail::socket_error(error, what);
  }

  /// Waits for the next peer. Ignores a peer that closes before it is accepted.
  ///
  /// Errors  TransportError: timed_out at the deadline, closed after close(), link_failed if
  ///         the system cannot accept, such as when no descriptors are left.
  TcpLink accept(Deadline deadline = no_deadline) {
    const std::string what = "listening on " + endpoint_.text();
    while (true) {
      if (!detail::wait_ready(fd_.get(), POLLIN, deadline, wake_read_.get()))
        throw TransportError(Reason::timed_out, {what, ": nobody came before the deadline"});
      // The byte in the pipe is never read, so that all later calls end.
      if (detail::wait_ready(wake_read_.get(), POLLIN, Deadline{}))
        throw TransportError(Reason::closed, {what, ": closed"});
      detail::Descriptor peer{::accept(fd_.get(), nullptr, nullptr)};
      if (peer.get() >= 0) {
        detail::prepare(peer.get(), what);
        return TcpLink{std::move(peer), write_stall_};
      }
      if (!detail::lost_before_accept(errno)) throw detail::socket_error(errno, what);
    }
  }

  /// Waits until a peer can be accepted, a link can be read, or the deadline, and perhaps for less.
  /// Returns what is ready: each of `links`, then the listener itself.
  std::vector<bool> wait(std::span<TcpLink* const> links, Deadline deadline) {
    std::vector<pollfd> all;
    for (const TcpLink* link : links) all.push_back({link->fd(), POLLIN, 0});
    all.push_back({fd_.get(), POLLIN, 0});
    all.push_back({wake_read_.get(), POLLIN, 0});
    const int limit = deadline == no_deadline ? -1 : detail::system_ms(deadline - Clock::now(), 0);
    std::vector<bool> ready(links.size() + 1);
    if (::poll(all.data(), all.size(), limit) <= 0) return ready;
    for (std::size_t i = 0; i < ready.size(); ++i) ready[i] = all[i].revents != 0;
    if (all.back().revents != 0) ready.back() = true;  // accept then says that it is closed
    return ready;
  }

  /// Ends a waiting accept and all later ones. Any thread may call it.
  void close() {
    const std::byte token{1};
    [[maybe_unused]] const auto n = ::write(wake_write_.get(), &token, 1);  // a full pipe is enough
  }

  /// Where it listens, with the port that the system has chosen.
  const Endpoint& endpoint() const { return endpoint_; }

 private:
  detail::Descriptor fd_;
  detail::Descriptor wake_read_, wake_write_;  // a pipe: a byte in it means close() was called
  std::chrono::nanoseconds write_stall_;
  Endpoint endpoint_;
};

/// Connects to a listener. Looking up a host's name may take longer than the options say.
///
/// Errors  TransportError: cannot_connect if there is no such host or nobody listens, timed_out if
///         nobody answers, link_failed for any other error of the system.
inline TcpLink connect_tcp(const Endpoint& to, const ConnectOptions& options = {}) {
  const std::string what = "connecting to " + to.text();
  const auto addresses = detail::addresses_of(to);
  const Deadline retry_until = deadline_in(options.retry_for);
  std::chrono::nanoseconds pause = std::chrono::milliseconds{20};
  while (true) {
    const Deadline deadline = deadline_in(options.timeout);
    int error = 0;
    for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) {
      detail::Descriptor fd{::socket(at->ai_family, at->ai_socktype, at->ai_protocol)};
      error = fd.get() < 0 ? errno : detail::connect(fd.get(), *at, deadline, what);
      if (error == 0) return TcpLink{std::move(fd), options.write_stall};
    }
    if (Clock::now() + pause >= retry_until) {
      if (error != ECONNREFUSED) throw detail::socket_error(error, what);
      throw TransportError(Reason::cannot_connect, {what, ": nobody listens there"});
    }
    std::this_thread::sleep_for(pause);
    pause = std::min<std::chrono::nanoseconds>(2 * pause, std::chrono::milliseconds{500});
  }
}

}  // namespace splitvit::inline SPLITVIT_BUILD::transport
