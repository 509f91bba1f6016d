// SPDX-License-Identifier: MIT
// How long does a training step take, and what share of the machine's multiply-adds is that?
//
//   step [cifar|deit_tiny|deit_small|split|split_adc...] [--rounds N] [--threads N] [--json FILE]
//
// cifar (batch 128), deit_tiny and deit_small (32) are uncut: forward, backward, Adam. split and
// split_adc are deit_tiny cut after block 3, client and server over memory, batch 128, without
// compression and with adc:0.1. All but these two are measured unless names are given.
//
// Each round measures the peak and then every model, so that all see the same machine. Floating
// point operations are counted as products only: L N (24 D^2 + 4 N D) a sample forward, plus the
// patch embedding, and three times that for a step, where the patch embedding needs no input
// gradient (twice).

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/resource.h>  // getrusage

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/compress/parse.hpp>
#include <splitvit/core/parallel.hpp>
#include <splitvit/core/workspace.hpp>
#include <splitvit/nn/cut.hpp>
#include <splitvit/optim/adam.hpp>
#include <splitvit/optim/optimizer.hpp>
#include <splitvit/split/client.hpp>
#include <splitvit/split/server.hpp>
#include <splitvit/transport/memory.hpp>

#include "peak.hpp"
#include "rows.hpp"

using namespace splitvit;

namespace {

double step_gflop(const nn::VitConfig& c, Index batch) {
  const auto N = static_cast<double>(c.tokens()), D = static_cast<double>(c.dim);
  const double blocks = static_cast<double>(c.depth) * N * (24 * D * D + 4 * N * D);
  const double patches = 2 * static_cast<double>(c.patches() * c.channels * c.patch * c.patch) * D;
  return 1e-9 * static_cast<double>(batch) * (3 * blocks + 2 * patches);
}

struct Batch {
  Tensor<float> images;
  std::vector<Index> labels;

  Batch(const nn::VitConfig& c, Index count) : images{Shape{count, c.channels, c.image, c.image}} {
    Rng rng{.seed = 2};
    for (float& value : images.span()) value = static_cast<float>(rng.normal());
    for (Index i = 0; i < count; ++i) labels.push_back(rng.below(c.classes));
  }
};

/// Steps of an uncut model.
class Whole {
 public:
  Whole(const nn::VitConfig& config, Index count)
      : model_{nn::make_vit<float>(config, Rng{.seed = 1})},
        optimizer_{optim::Adam{}, nn::parameters<float>(model_)},
        batch_{config, count} {}

  void operator()() {
    const Workspace::Use use{workspace_};
    const Variable<float> loss = cross_entropy(model_(Variable<float>{batch_.images}),
                                               std::span<const Index>{batch_.labels});
    backward(loss);
    optimizer_.step();
    optimizer_.clear_gradients();
  }

 private:
  Workspace workspace_;
  nn::Vit<float> model_;
  optim::Optimizer<optim::Adam, float> optimizer_;
  Batch batch_;
};

/// Steps of a model cut after block 3, both parties in this process, one working at a time.
class Split {
 public:
  Split(const nn::VitConfig& config, Index count, const std::string& method, int threads)
      : ends_{transport::memory_pair()},
        server_{nn::make_tail<float>(config, 3, Rng{.seed = 1}), optim::Adam{}},
        serving_{[this, threads] {
          with_threads(threads, [this] { server_.serve(std::move(ends_.second)); });
        }},
        client_{nn::make_head<float>(config, 3, Rng{.seed = 1}), optim::Adam{},
                compress::parse_stage<float>(method), std::move(ends_.first)},
        batch_{config, count} {}
  ~Split() { client_.close(); }

  split::StepReport operator()() { return client_.train_step(batch_.images, batch_.labels); }

 private:
  std::pair<transport::MemoryLink, transport::MemoryLink> ends_;
  split::Server<float, optim::Adam> server_;
  std::jthread serving_;
  split::Client<float, optim::Adam, compress::DynamicStage<float>, codec::Float32,
                transport::MemoryLink>
      client_;
  Batch batch_;
};

double seconds_of(const std::function<void()>& work) {
  const double begin = bench::seconds();
  work();
  return bench::seconds() - begin;
}

double peak_memory_mib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;  // Linux counts in KiB
}

/// A model that is measured once a round, after two steps that find memory.
using Measured = std::function<void(double peak)>;

Measured whole(bench::Rows& rows, const std::string& name, const nn::VitConfig& config,
               Index count) {
  auto step = std::make_shared<Whole>(config, count);
  (*step)();
  (*step)();
  return [&rows, name, step, count, gflop = step_gflop(config, count)](double peak) {
    const double time = seconds_of([&] { (*step)(); });
    rows.add(name, static_cast<double>(count) / time, "samples/s");
    rows.add(name + ", products", gflop / time, "GFLOP/s");
    rows.add(name + ", share", gflop / time / peak, "of peak");
  };
}

Measured cut(bench::Rows& rows, const std::string& name, const std::string& method, int threads) {
  constexpr Index count = 128;
  auto step = std::make_shared<Split>(nn::vit_named("deit_tiny"), count, method, threads);
  (*step)();
  (*step)();
  return [&rows, name, step](double) {
    split::StepReport report;
    rows.add(name, seconds_of([&] { report = (*step)(); }), "s");
    rows.add(name + ", client", report.seconds.client, "s");
    rows.add(name + ", server", report.seconds.server, "s");
    rows.add(
        name + ", compression",
        100 * report.seconds.compression / (report.seconds.client + report.seconds.compression),
        "% of client");
  };
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments{argc, argv};
  bench::Rows rows;
  with_threads(arguments.threads, [&] {
    std::vector<Measured> all;
    const auto named = [&](const std::string& name) {
      return std::ranges::find(arguments.names, name) != arguments.names.end();
    };
    if (arguments.wants("cifar"))
      all.push_back(whole(rows, "cifar", nn::vit_named("vit_cifar"), 128));
    if (arguments.wants("deit_tiny"))
      all.push_back(whole(rows, "deit_tiny", nn::vit_named("deit_tiny"), 32));
    if (arguments.wants("deit_small"))
      all.push_back(whole(rows, "deit_small", nn::vit_named("deit_small"), 32));
    if (named("split")) all.push_back(cut(rows, "split", "none", arguments.threads));
    if (named("split_adc")) all.push_back(cut(rows, "split_adc", "adc:0.1", arguments.threads));
    for (int round = 0; round < arguments.rounds; ++round) {
      const double peak = bench::peak_gflops<float>();
      rows.add("multiply-add", peak, "GFLOP/s");
      for (const Measured& one : all) one(peak);
    }
  });
  rows.add("peak memory of all", peak_memory_mib(), "MiB");
  rows.report(arguments);
}
