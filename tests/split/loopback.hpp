// SPDX-License-Identifier: MIT
#pragma once

#include <exception>  // exception_ptr
#include <optional>   // optional
#include <string>     // string
#include <thread>     // jthread
#include <utility>    // move, pair
#include <vector>     // vector

#include <splitvit/compress/dynamic_stage.hpp>  // DynamicStage
#include <splitvit/core/random.hpp>             // Rng
#include <splitvit/nn/cut.hpp>                  // Part, make_part
#include <splitvit/optim/adam.hpp>              // Adam
#include <splitvit/split/client.hpp>            // Client
#include <splitvit/split/server.hpp>            // Server
#include <splitvit/split/settings.hpp>          // settings_of
#include <splitvit/transport/memory.hpp>        // memory_pair
#include <splitvit/transport/tcp.hpp>           // TcpListener, connect_tcp

// A small model, batches for it, and a server on a thread of its own.

namespace splitvit::test {

inline constexpr nn::VitConfig small_vit{
    .image = 8, .patch = 4, .channels = 3, .dim = 16, .heads = 2, .depth = 3, .classes = 5};

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

/// Runs server.serve(link) on another thread; what it throws is kept.
template <class Server, class Link>
class Serving {
 public:
  Serving(Server& server, Link link)
      : thread_{[this, &server, end = std::move(link)]() mutable {
          try {
            server.serve(std::move(end));
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
Serving(Server&, Link) -> Serving<Server, Link>;

inline constexpr Rng start{.seed = 5};  ///< of the weights

/// A server and a client of small_vit, connected over memory. Any stage, in one type: each more
/// takes seconds to compile.
struct Parties {
  std::pair<transport::MemoryLink, transport::MemoryLink> ends = transport::memory_pair();
  split::Server<float, optim::Adam> server;
  Serving<split::Server<float, optim::Adam>, transport::MemoryLink> serving;
  split::Client<float, optim::Adam, compress::DynamicStage<float>, codec::Float32,
                transport::MemoryLink>
      client;

  explicit Parties(const compress::DynamicStage<float>& stage,
                   const split::ClientOptions& options = {})
      : server{nn::make_part<float>(small_vit, 1, 3, start), optim::Adam{}},
        serving{server, std::move(ends.second)},
        client{nn::make_part<float>(small_vit, 0, 1, start), optim::Adam{}, stage,
               std::move(ends.first), options} {}

  void finish() {
    client.close();
    serving.finish();
  }
};

/// Both ends of a connection over loopback.
inline std::pair<transport::TcpLink, transport::TcpLink> tcp_pair() {
  transport::TcpListener listener;
  auto client = transport::connect_tcp(listener.endpoint());
  return {std::move(client), listener.accept()};
}

/// All numbers of a module, one after the other.
template <class T, class Module>
std::vector<T> numbers_of(const Module& module) {
  std::vector<T> all;
  for (const auto& [name, parameter] : nn::parameters<T>(module))
    all.insert(all.end(), parameter.value().span().begin(), parameter.value().span().end());
  return all;
}

/// An equal part that shares no parameters.
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
