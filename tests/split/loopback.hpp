// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>       // milliseconds
#include <concepts>     // floating_point
#include <cstdint>      // uint64_t
#include <exception>    // exception_ptr
#include <memory>       // shared_ptr
#include <optional>     // optional
#include <span>         // span
#include <string>       // string
#include <string_view>  // string_view
#include <thread>       // jthread, sleep_for
#include <utility>      // move, pair
#include <vector>       // vector

#include <splitvit/compress/any_stage.hpp>  // AnyStage
#include <splitvit/core/parallel.hpp>       // available_threads, with_threads
#include <splitvit/core/random.hpp>         // Rng
#include <splitvit/core/state.hpp>          // state_bytes
#include <splitvit/nn/cut.hpp>              // make_part
#include <splitvit/optim/adam.hpp>          // Adam
#include <splitvit/split/client.hpp>        // Client
#include <splitvit/split/options.hpp>       // settings_of
#include <splitvit/split/server.hpp>        // Server
#include <splitvit/transport/concepts.hpp>  // write_all
#include <splitvit/transport/memory.hpp>    // memory_pair
#include <splitvit/transport/metered.hpp>   // Metered
#include <splitvit/transport/tcp.hpp>       // TcpListener, connect_tcp
#include <splitvit/wire/handshake.hpp>      // hello_payload, read_welcome, throw_peer_error
#include <splitvit/wire/message.hpp>        // MessageReader
#include <splitvit/wire/outbox.hpp>         // Outbox

#include "support/drain.hpp"  // drain

// A small model, batches for it, and a server on a thread of its own.

namespace splitvit::test {

inline constexpr nn::VitConfig small_vit{
    .image = 8, .patch = 4, .channels = 3, .dim = 16, .heads = 2, .depth = 3, .classes = 5};

inline constexpr Rng start{.seed = 5};  ///< of the weights

template <class T = float>
nn::Part<T> client_part(Compute compute = Compute::float32) {
  nn::Part<T> part = nn::make_part<T>(small_vit, 0, 1, start);
  part.use(compute);
  return part;
}
template <class T = float>
nn::Part<T> server_part(Compute compute = Compute::float32) {
  nn::Part<T> part = nn::make_part<T>(small_vit, 1, 3, start);
  part.use(compute);
  return part;
}

/// What a client of small_vit says in its handshake.
inline wire::Settings small_settings(const std::string& method) {
  return split::settings_of(nn::Part<float>{small_vit, 0, 1}, method, "float32", {});
}

/// Batches of random images and labels.
template <class T>
struct RandomBatches {
  struct Batch {
    Tensor<T> images;
    std::vector<Index> labels;
  };

  Index left = 3;
  Index samples = 6;
  Rng rng{.seed = 11};

  Batch make() {
    Batch batch{Tensor<T>{Shape{samples, 3, 8, 8}}, {}};
    for (T& value : batch.images.span()) value = static_cast<T>(rng.normal());
    for (Index i = 0; i < samples; ++i) batch.labels.push_back(rng.below(5));
    return batch;
  }
  std::optional<Batch> next() {
    if (left-- == 0) return std::nullopt;
    return make();
  }
};

/// An optimiser's rule that takes its time, once a step of the server.
struct SlowRule {
  double lr = 0;
  std::chrono::milliseconds wait{};
  std::span<const std::string_view> state_names() const { return {}; }
  template <std::floating_point T>
  void update(std::uint64_t, double, std::span<T> p, std::span<const T>,
              std::span<const std::span<T>>) const {
    if (p.size() == 5) std::this_thread::sleep_for(wait);  // the bias of the classifier
  }
};

/// Runs server.serve(link) on another thread, where loops use as many threads as they would here.
/// What it throws is kept.
template <class Server>
class Serving {
 public:
  Serving(Server& server, transport::AnyLink link)
      : thread_{[this, &server, end = std::move(link), threads = available_threads()]() mutable {
          try {
            with_threads(threads, [&] { server.serve(std::move(end)); });
          } catch (...) {
            error_ = std::current_exception();
          }
        }} {}

  /// Waits for the end of the session and throws what the server threw.
  void finish() {
    thread_.join();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::exception_ptr error_;
  std::jthread thread_;
};
template <class Server, class Link>
Serving(Server&, Link) -> Serving<Server>;

/// A new link over memory to a server, which serves its other end on the thread in `serving`.
template <class Server>
transport::MemoryLink dial(Server& server, std::optional<Serving<Server>>& serving) {
  auto [client_end, server_end] = transport::memory_pair();
  serving.emplace(server, std::move(server_end));
  return std::move(client_end);
}

/// A server and a client of small_vit, connected over memory.
struct Parties {
  std::pair<transport::MemoryLink, transport::MemoryLink> ends = transport::memory_pair();
  transport::Metered<transport::MemoryLink> metered{std::move(ends.first)};
  std::shared_ptr<const transport::Traffic> counted = metered.traffic();
  split::Server<float> server{server_part(), optim::Adam{}};
  Serving<split::Server<float>> serving{server, std::move(ends.second)};
  split::Client<float> client;

  explicit Parties(compress::AnyStage<float> stage, const split::ClientOptions& options = {})
      : client{client_part(), optim::Adam{}, std::move(stage), std::move(metered), options} {}

  void finish() {
    client.close();
    serving.finish();
  }
};

/// A client that shakes hands and then sends whatever a test wants.
class RawClient {
 public:
  RawClient(transport::AnyLink end, wire::Settings settings) : link{std::move(end)} {
    const wire::Hello hello{.settings = std::move(settings)};
    send(wire::MessageKind::hello, wire::hello_payload(hello));
    const auto welcome = wire::read_welcome(receive(wire::MessageKind::welcome), hello);
    writer_.begin(welcome.connection, welcome.largest_message);
    reader_.begin(welcome.connection, welcome.largest_message);
  }

  void send(wire::MessageKind kind, const std::vector<std::byte>& payload = {}) {
    writer_.queue(kind, std::array{wire::Bytes{payload}});
    transport::write_all(link, drain(writer_));
  }

  /// Waits for a message of this kind and returns its payload.
  std::vector<std::byte> receive(wire::MessageKind wanted) {
    std::vector<std::byte> payload;
    std::optional<wire::MessageKind> kind;
    while (!kind) {
      const std::size_t n = link.read_some(reader_.space(payload));
      if (n == 0) throw TransportError(Reason::closed, "RawClient: closed");
      kind = reader_.filled(n, payload);
    }
    if (*kind == wire::MessageKind::error) wire::throw_peer_error(payload);
    if (*kind == wanted) return payload;
    throw WireError(Reason::wrong_message, std::string{"RawClient: came "} + wire::name(*kind));
  }

  transport::AnyLink link;

 private:
  wire::Outbox writer_;
  wire::MessageReader reader_;
};

/// Both ends of a connection over loopback.
inline std::pair<transport::TcpLink, transport::TcpLink> tcp_pair() {
  transport::TcpListener listener;
  auto client = transport::connect_tcp(listener.endpoint());
  return {std::move(client), listener.accept()};
}

/// The payload of a message that a role returns in pieces.
std::vector<std::byte> joined_pieces(const auto& pieces) {
  std::vector<std::byte> payload;
  for (const std::span<const std::byte> piece : pieces)
    payload.insert(payload.end(), piece.begin(), piece.end());
  return payload;
}

/// All numbers of a module, one after the other.
template <class T, class Module>
std::vector<T> numbers_of(const Module& module) {
  std::vector<T> all;
  for (const auto& [name, parameter] : nn::parameters<T>(module))
    all.insert(all.end(), parameter.value().span().begin(), parameter.value().span().end());
  return all;
}

/// A part of the same kind with numbers of its own.
template <class T>
nn::Part<T> copy_of(const nn::Part<T>& part) {
  nn::Part<T> copy{part.config, part.first, part.last};
  if (part.encoder) copy.encoder.emplace(part.config.dim, part.encoder->options);
  if (part.decoder) copy.decoder.emplace(part.config.dim, part.decoder->options);
  const auto from = nn::parameters<T>(part), to = nn::parameters<T>(copy);
  for (std::size_t i = 0; i < from.size(); ++i)
    to[i].second.mutable_value() = from[i].second.value();
  return copy;
}

}  // namespace splitvit::test
