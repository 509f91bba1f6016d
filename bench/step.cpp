// SPDX-License-Identifier: MIT
// How long does a whole training step of an uncut ViT take, and what share of the machine's
// multiply-adds is that? Forward, backward, Adam.
//
//   bench_step [cifar|deit_tiny|both] [rounds] [threads]
//
// Each round measures the peak and then every model, so that all see the same machine. Floating
// point operations are counted as products only: L N (24 D^2 + 4 N D) a sample forward, plus the
// patch embedding, and three times that for a step, where the patch embedding needs no input
// gradient (twice).

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/core/parallel.hpp>
#include <splitvit/core/workspace.hpp>
#include <splitvit/nn/cut.hpp>
#include <splitvit/optim/adam.hpp>
#include <splitvit/optim/optimizer.hpp>

#include "peak.hpp"

using namespace splitvit;

namespace {

double step_gflop(const nn::VitConfig& c, Index batch) {
  const auto N = static_cast<double>(c.tokens()), D = static_cast<double>(c.dim);
  const double blocks = static_cast<double>(c.depth) * N * (24 * D * D + 4 * N * D);
  const double patches = 2 * static_cast<double>(c.patches() * c.channels * c.patch * c.patch) * D;
  return 1e-9 * static_cast<double>(batch) * (3 * blocks + 2 * patches);
}

struct Case {
  const char* name;
  nn::VitConfig config;
  Index batch;
  std::vector<double> rates{}, shares{};  // samples a second, fraction of the peak

  void run(double peak) {
    if (!trained) {
      model.emplace(nn::make_vit<float>(config, Rng{.seed = 1}));
      optimizer.emplace(optim::Adam{}, nn::parameters<float>(*model));
      images = Tensor<float>{Shape{batch, config.channels, config.image, config.image}};
      Rng rng{.seed = 2};
      for (float& value : images.span()) value = static_cast<float>(rng.normal());
      for (Index i = 0; i < batch; ++i) labels.push_back(rng.below(config.classes));
      step();  // twice: the first ones find memory
      step();
      trained = true;
    }
    const double begin = bench::seconds();
    step();
    const double time = bench::seconds() - begin;
    const double gflops = step_gflop(config, batch) / time;
    rates.push_back(static_cast<double>(batch) / time);
    shares.push_back(gflops / peak);
    std::printf("%-10s %7.3f s  %7.1f samples/s  %6.1f GFLOP/s  %.2f of the peak, %.0f GFLOP/s\n",
                name, time, rates.back(), gflops, shares.back(), peak);
    std::fflush(stdout);
  }

  void step() {
    const Workspace::Use use{workspace};
    const Variable<float> loss =
        cross_entropy((*model)(Variable<float>{images}), std::span<const Index>{labels});
    backward(loss);
    optimizer->step();
    optimizer->clear_gradients();
  }

  bool trained = false;
  Workspace workspace{};
  std::optional<nn::Vit<float>> model{};
  std::optional<optim::Optimizer<optim::Adam, float>> optimizer{};
  Tensor<float> images{};
  std::vector<Index> labels{};
};

void print_median(const char* name, std::vector<double> values, const char* unit, int decimals) {
  std::ranges::sort(values);
  std::printf("%-10s median %.*f %s (%.*f to %.*f)\n", name, decimals, values[values.size() / 2],
              unit, decimals, values.front(), decimals, values.back());
}

}  // namespace

int main(int argc, char** argv) {
  const std::string which = argc > 1 ? argv[1] : "both";
  const int rounds = argc > 2 ? std::max(1, std::atoi(argv[2])) : 5;
  const int threads = argc > 3 ? std::max(1, std::atoi(argv[3])) : available_threads();
  nn::VitConfig cifar = nn::vit_named("vit_cifar");
  std::vector<Case> cases;
  if (which != "deit_tiny") cases.push_back({.name = "cifar", .config = cifar, .batch = 128});
  if (which != "cifar")
    cases.push_back({.name = "deit_tiny", .config = nn::vit_named("deit_tiny"), .batch = 32});

  std::printf("%s, %td lanes of float, %s, %d threads, %d rounds\n", kernel::instruction_set(),
              kernel::lanes<float>, SPLITVIT_USE_TBB ? "oneTBB" : "std::thread", threads, rounds);
  with_threads(threads, [&] {
    for (int round = 0; round < rounds; ++round) {
      const double peak = bench::peak_gflops<float>();
      for (Case& one : cases) one.run(peak);
    }
  });
  for (const Case& one : cases) {
    print_median(one.name, one.rates, "samples/s", 1);
    print_median(one.name, one.shares, "of the peak", 2);
  }
}
