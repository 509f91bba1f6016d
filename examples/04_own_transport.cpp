// A link of your own: two functions. Here a UNIX socket pair becomes one; a serial line, a
// radio or a message queue would look the same. A few seconds on one core.

#include <cstdio>
#include <thread>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

#include <splitvit/splitvit.hpp>
#include <splitvit/transport/conformance.hpp>
#include <splitvit/transport/simulated.hpp>

namespace sv = splitvit;

// 1. read_some and write_some move at least one byte or say why not. Destruction closes.
class SocketPairEnd {
 public:
  explicit SocketPairEnd(int fd) : fd_{fd} {}
  SocketPairEnd(SocketPairEnd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  SocketPairEnd& operator=(SocketPairEnd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~SocketPairEnd() {
    if (fd_ >= 0) ::close(fd_);
  }

  std::size_t read_some(std::span<std::byte> into) {
    return checked(::recv(fd_, into.data(), into.size(), 0));
  }
  std::size_t write_some(std::span<const std::byte> from) {
    return checked(::send(fd_, from.data(), from.size(), MSG_NOSIGNAL));
  }

 private:
  static std::size_t checked(ssize_t n) {
    if (n < 0) throw sv::TransportError(sv::Reason::closed, "socket pair: the other end is gone");
    return static_cast<std::size_t>(n);
  }
  int fd_;
};
static_assert(sv::transport::Transport<SocketPairEnd>);

std::pair<SocketPairEnd, SocketPairEnd> make_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
    throw sv::TransportError(sv::Reason::link_failed, "socketpair failed");
  return {SocketPairEnd{fds[0]}, SocketPairEnd{fds[1]}};
}

int main() {
  // 2. Does it keep the contract? The same test that the library's own links pass.
  sv::transport::check_transport(make_pair);
  std::printf("the contract holds\n");

  // 3. Train over it, as if it were a line of 10 Mbit/s with 20 ms latency: the decorator
  //    works out how long the bytes would take.
  auto [client_end, server_end] = make_pair();
  const sv::nn::VitConfig vit{
      .image = 32, .patch = 8, .dim = 32, .heads = 2, .depth = 2, .classes = 4};
  const sv::Rng rng{.seed = 7};
  auto [client_part, server_part] = sv::nn::cut_in_two<float>(vit, 1, rng);
  sv::split::Server server{std::move(server_part), sv::optim::Adam{.lr = 1e-3}};
  const std::jthread serving{
      [&server, end = std::move(server_end)]() mutable { server.serve(std::move(end)); }};
  sv::transport::Simulated slow{std::move(client_end),
                                {.bits_per_second = 10e6, .latency_seconds = 0.02}};
  const auto clock = slow.clock();
  sv::split::Client client{std::move(client_part), sv::optim::Adam{.lr = 1e-3},
                           sv::compress::adc(0.1), std::move(slow)};
  const auto data = sv::data::make_shapes({.samples = 256, .test_samples = 64, .classes = 4});
  const sv::data::Loader<float> train{data.train, {.batch = 32, .seed = 7}};
  const auto report = client.train_epoch(train.epoch(0));
  std::printf("%llu bytes; on a real line of that speed they would take %.2f s\n",
              static_cast<unsigned long long>(report.traffic.total()), clock->seconds());
  client.close();
}
