// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>     // uint64_t
#include <functional>  // function
#include <memory>      // make_shared, shared_ptr
#include <optional>    // optional
#include <string>      // string
#include <utility>     // move
#include <vector>      // vector

#include <splitvit/core/parallel.hpp>         // with_threads
#include <splitvit/io/checkpoint_policy.hpp>  // EveryN
#include <splitvit/nn/bottleneck.hpp>         // make_decoder, make_encoder
#include <splitvit/spec/method.hpp>           // parse_method
#include <splitvit/split/checkpoints.hpp>     // Checkpoints
#include <splitvit/split/client.hpp>          // Client
#include <splitvit/split/server.hpp>          // Server
#include <splitvit/transport/simulated.hpp>   // Faults, Simulated

#include "split/loopback.hpp"       // client_part, dial, RandomBatches, server_part, Serving
#include "support/file_layers.hpp"  // FailingFiles, ModelDisk

// Two parties that keep checkpoints on disks in memory and can be started again at any time.

namespace splitvit::test {

/// What must be the same whatever has happened to the parties.
struct Outcome {
  std::vector<float> client, server;
  std::vector<double> losses;
  std::uint64_t bytes_up = 0, bytes_down = 0;  ///< of training
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

class Resuming {
 public:
  using MakeCheckpoints = std::function<std::shared_ptr<split::Checkpoints>(
      const char* folder, split::CheckpointOptions, io::FileLayer&)>;

  /// Both keep checkpoints with this policy, or the server one of its own.
  template <class Policy>
  static MakeCheckpoints every(Policy policy) {
    return [policy](const char* folder, split::CheckpointOptions options, io::FileLayer& files) {
      return std::make_shared<split::Checkpoints>(folder, policy, std::move(options), files);
    };
  }

  explicit Resuming(std::string method = "none", MakeCheckpoints at_client = every(io::EveryN{2}),
                    MakeCheckpoints at_server = every(io::Memory{}))
      : method_{std::move(method)},
        at_client_{std::move(at_client)},
        at_server_{std::move(at_server)} {
    client_disk.most_bytes = server_disk.most_bytes = std::size_t{1} << 20;
    start_server();
    start_client();
  }

  void start_server() {
    const auto method = spec::parse_method<float>(method_);
    auto part = server_part();
    if (method.bottleneck)
      part.decoder = nn::make_decoder<float>(small_vit.dim, *method.bottleneck, start);
    server.emplace(std::move(part), optim::Adam{}, method.codec, split::ServerOptions{.seed = 7});
    server->keep_checkpoints([this](const wire::Hello&) {
      return at_server_("server", options(nullptr), server_files);
    });
  }
  /// The process of the client is started again: it reads its folder.
  void start_client() {
    const auto method = spec::parse_method<float>(method_);
    auto part = client_part();
    if (method.bottleneck)
      part.encoder = nn::make_encoder<float>(small_vit.dim, *method.bottleneck, start);
    losses.clear();
    client.emplace(
        split::ClientRole<float>{
            split::Learner<float>{std::move(part), optim::Adam{}, {}, method.feedback},
            split::CutSender<float>{method.stage, method.codec, 7}},
        split::ClientOptions{.seed = 7});
    if (decoder) client->give_decoder(*decoder);
    client->keep_checkpoints(at_client_("client", options(&losses), client_files));
  }
  void connect(const transport::Faults& faults = {}) {
    client->reconnect(transport::Simulated{dial(*server, serving), {}, faults});
  }
  /// The link breaks, and both notice it.
  void hang_up() {
    client->disconnect();
    if (!serving) return;
    try {
      serving->finish();
    } catch (const ReasonedError&) {
    }
    serving.reset();
  }
  void restart_client() {
    hang_up();
    client.reset();
    start_client();
  }
  void restart_server() {
    hang_up();
    server.reset();
    start_server();
  }

  static auto batch_of(std::uint64_t step) {
    return RandomBatches<float>{.samples = 8, .rng = {.seed = 11 + step}}.make();
  }
  /// One step, and a checkpoint if one is due.
  void step() {
    auto batch = batch_of(client->steps() + 1);
    losses.push_back(client->train_step(std::move(batch.images), batch.labels).loss);
    client->checkpoint_if_due();
  }
  /// Trains to this step. `disturb(step)` is called after each one, and when a link has failed; it
  /// may break the link. Returns how often a link was made.
  int train(std::uint64_t steps, const std::function<void(std::uint64_t)>& disturb,
            const transport::Faults& faults = {}) {
    return with_threads(1, [&] {
      int links = 0;
      while (client->steps() < steps) {
        try {
          if (!serving) connect(links++ == 0 ? faults : transport::Faults{});
          step();
        } catch (const ReasonedError&) {
          hang_up();
        }
        disturb(client->steps());
      }
      return links;
    });
  }
  /// Says goodbye.
  Outcome finish() {
    if (!serving) connect();
    client->close();
    serving->finish();
    serving.reset();
    const split::Traffic traffic = client->traffic(split::Column::training);
    return {.client = numbers_of<float>(client->part()),
            .server = numbers_of<float>(server->part()),
            .losses = losses,
            .bytes_up = traffic.up.total(),
            .bytes_down = traffic.down.total()};
  }

  static split::CheckpointOptions options(std::vector<double>* losses) {
    split::CheckpointOptions options{
        .resume = true, .generations = {.keep = 2, .retries = 0, .pause = {}, .patience = {}}};
    if (losses != nullptr)
      options.more = [losses](StateVisitor& see) { see(std::string{"losses"}, *losses); };
    return options;
  }

  ModelDisk client_disk, server_disk;
  FailingFiles client_files{client_disk}, server_files{server_disk};
  std::optional<nn::Decoder<float>> decoder;  ///< that the client gives, before the first step
  std::vector<double> losses;                 ///< the client's own state
  std::optional<split::Server<float>> server;
  std::optional<Serving<split::Server<float>>> serving;
  std::optional<split::Client<float>> client;

 private:
  std::string method_;
  MakeCheckpoints at_client_, at_server_;
};

/// The outcome of a training that nothing disturbs.
inline Outcome undisturbed(const std::string& method, std::uint64_t steps) {
  Resuming parties{method};
  parties.train(steps, [](std::uint64_t) {});
  return parties.finish();
}

}  // namespace splitvit::test
